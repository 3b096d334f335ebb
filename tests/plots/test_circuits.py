"""The figure of circuits: curves with times of events over several steps, or heat maps of one network."""

import pytest

from lab.errors import LabError
from lab.plots.circuits import NO_PAIRS, draw_circuits
from tests.helpers.circuits import circuits_frame

CURVES = {
    (n, seed): dict.fromkeys(("previous_token", "k_composition", "prefix_matching"), (0.0, 0.1 * n, 0.6, 0.7))
    for n in (1, 2)
    for seed in (0, 1)
}


def test_several_steps_give_curves_and_one_gives_heat_maps() -> None:
    frame = circuits_frame(CURVES)
    figure, times = draw_circuits(frame)
    assert set(times["run"]) == {"n1-0", "n1-1", "n2-0", "n2-1"}
    assert [axes.get_ylabel() for axes in figure.axes[:3]] == [
        "previous-token score",
        "K-composition\nabove chance",
        "prefix matching",
    ]
    bars = [patch.get_width() for patch in figure.axes[3].patches]
    assert sum(bars) == 3 * 4, "a seed counts once for each pair of parts"
    for heat_maps in (draw_circuits(frame[frame["step"] == 30]), draw_circuits(frame, run="n1-0")):
        assert set(heat_maps[1]["run"]) == {"n1-0"}
        assert set(heat_maps[1]["step"]) == {30}


def test_a_network_of_one_layer_has_scores_alone() -> None:
    frame = circuits_frame(CURVES)
    scores = frame[frame["quantity"] != "k_composition"]
    figure, times = draw_circuits(scores)
    assert figure.axes[1].texts[-1].get_text() == NO_PAIRS
    assert not times["k_composition_observed"].any()
    figure, _ = draw_circuits(scores, run="n1-0")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["previous-token score", "prefix matching"]
    assert len(figure.axes) == 3, "two panels and their colour bar"


def test_an_unknown_run_is_rejected() -> None:
    with pytest.raises(LabError, match="run must be a run of the frame, not 'n3'; known: n1-0"):
        draw_circuits(circuits_frame(CURVES), run="n3")
