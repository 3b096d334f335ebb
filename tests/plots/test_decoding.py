"""The figures of decoding, from frames without runs and from runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab import plots
from lab.cli.main import main
from lab.errors import LabError
from lab.evaluation.decoded_runs import decode_runs, time_runs
from lab.runs import open_runs
from lab.runs.layout import kept_name
from lab.runs.weights import save_weights
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny


def frame_of(
    values: dict[tuple[int, int], dict[str, float]], *, steps: tuple[int, ...] = (100,), seeds: int = 5
) -> pd.DataFrame:
    """Build a frame of decoding of one condition, with values by (heads, batch) that grow by 0.01 with each seed."""
    rows = [
        {
            "run": f"r{seed}",
            "task": "stories",
            "n_future": 3,
            "seed": seed,
            "state": "finished",
            "heads": heads,
            "nodes": heads - 1,
        }
        | {"batch": batch, "step": step, "tokens": 10.0 * step, "metric": metric, "value": value + 0.01 * seed}
        for (heads, batch), metrics in values.items()
        for step in steps
        for seed in range(seeds)
        for metric, value in metrics.items()
    ]
    return pd.DataFrame(rows)


def test_acceptance_draws_means_by_role_and_head() -> None:
    rates = {"acceptance/2": 0.5, "acceptance/3": 0.2, "tokens_per_forward": 1.7}
    rates |= {f"acceptance_given_reached/{role}/{head}": 0.4 for role in ("all", "word", "end") for head in (2, 3)}
    figure, table = plots.acceptance(frame_of({(3, 8): rates}))
    assert [panel.get_title() for panel in figure.axes] == ["all tokens", "words", "end token"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {"if every earlier draft was accepted", "whatever was drafted before"}
    np.testing.assert_allclose(lines["whatever was drafted before"].get_ydata(), [0.52, 0.22])
    assert [line.get_label() for line in figure.axes[1].lines] == ["if every earlier draft was accepted", "all tokens"]
    assert np.isclose(table.set_index("metric")["mean"]["tokens_per_forward"], 1.72)
    again, _ = plots.acceptance(frame_of({(3, 8): rates}, steps=(0, 100, 200)))
    assert [panel.get_title() for panel in again.axes][-1] == "tokens per forward pass"
    np.testing.assert_array_equal(again.axes[3].lines[0].get_xdata(), [1000, 2000])


def test_conditions_that_end_at_different_steps_are_all_drawn() -> None:
    rates = {"acceptance/2": 0.5, "tokens_per_forward": 1.7, "speedup": 1.2}
    rates |= {f"acceptance_given_reached/all/{head}": 0.4 for head in (2, 3)}
    long, short = (frame_of({(2, 1): rates}, steps=steps) for steps in ((100, 200), (100,)))
    short = short.assign(n_future=4, run="short-" + short["run"], tokens=4 * short["tokens"])
    both = pd.concat([long, short], ignore_index=True)
    figure, _ = plots.acceptance(both)
    assert {"n = 3", "n = 4"} <= {line.get_label() for line in figure.axes[0].lines}
    assert [list(line.get_xdata()) for line in figure.axes[1].lines] == [[1000, 2000], [4000]], "each at its own tokens"
    timed, table = plots.speedup(both)
    assert set(table["condition"]) == {"n = 3", "n = 4"}
    assert "speed-up, batch 1, n = 4" in {line.get_label() for line in timed.axes[0].lines}


def test_symbols_share_a_panel_and_rare_tokens_are_left_out() -> None:
    rates = {f"acceptance_given_reached/{role}/2": 0.4 for role in ("all", "word/1", "word/2", "end/1")} | {"acceptance/2": 0.5}
    frame = frame_of({(2, 8): rates})
    rare = (frame["metric"] == "acceptance_given_reached/end/1/2") & (frame["seed"] > 1)
    figure, _ = plots.acceptance(frame[~rare])
    assert [panel.get_title() for panel in figure.axes] == ["all tokens", "words"]
    assert [line.get_label() for line in figure.axes[1].lines] == ["symbol 1 of a token", "symbol 2 of a token", "all tokens"]


def test_speedup_draws_heads_and_batches() -> None:
    values = {
        (heads, batch): {"speedup": heads / batch, "tokens_per_forward": heads * 0.9 + batch - 4}
        for heads in (1, 2, 3)
        for batch in (1, 2, 4)
    }
    frame = frame_of(values, steps=(50, 100))
    frame.loc[frame["step"] < 100, "value"] = 9.0  # the last step is drawn
    figure, _ = plots.speedup(frame)
    left, right = figure.axes
    lines = {line.get_label(): line for line in (*left.lines, *right.lines)}
    np.testing.assert_allclose(lines["speed-up, batch 1"].get_ydata(), [1.02, 2.02, 3.02])
    np.testing.assert_allclose(lines["tokens per forward"].get_ydata(), [0.92, 1.82, 2.72])
    np.testing.assert_allclose(lines["3 heads"].get_ydata(), [3.02, 1.52, 0.77])
    assert "1 heads" not in lines


def test_speedup_names_the_runs_that_it_leaves_out() -> None:
    frame = frame_of({(heads, 1): {"speedup": 1.0, "tokens_per_forward": 1.0} for heads in (1, 2)})
    again = frame[frame["seed"] == frame["seed"].min()].assign(run="again")
    figure, table = plots.speedup(pd.concat([frame, again], ignore_index=True))
    (note,) = table.attrs["notes"]
    assert note.split() == figure.get_suptitle().split()[-len(note.split()) :]


def test_acceptance_draws_roles_that_half_of_the_seeds_have() -> None:
    rates = {f"acceptance_given_reached/{role}/2": rate for role, rate in {"all": 0.5, "word": 0.4, "end": 0.3}.items()}
    frame = frame_of({(2, 8): rates}, steps=(50, 100))
    frame.loc[frame["step"] < 100, "value"] = 0.9
    by_2_seeds, by_3_seeds = (
        (frame["metric"] == f"acceptance_given_reached/{role}/2") & (frame["seed"] >= seeds)
        for role, seeds in (("end", 2), ("word", 3))
    )
    figure, _ = plots.acceptance(frame[~by_2_seeds & ~by_3_seeds])
    drawn = np.concatenate([line.get_ydata() for panel in figure.axes for line in panel.lines])
    np.testing.assert_allclose(np.unique(drawn.round(9)), [0.41, 0.52])


def test_frames_without_drafts_are_rejected() -> None:
    frame = frame_of({(1, 1): {"tokens_per_forward": 1.0}})
    for draw in (plots.acceptance, plots.speedup):
        with pytest.raises(LabError, match="the frame has no metric"):
            draw(frame)


def test_runs_are_decoded_for_their_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (1, 2, 3):
        curve = {12: {"loss/all/1": 1.0}}
        make_run(tmp_path / "runs" / f"n{n}", tiny("agreement", n_future=n, model__layers=5), curve, weights=True)
    runs = open_runs([tmp_path / "runs"])
    save_weights(runs[-1].model(), runs[-1].path / kept_name(6))
    decoded, timed = decode_runs(runs, prompts=4), time_runs(runs, batches=(1, 2), rounds=1)
    assert set(decoded["run"]) == set(timed["run"]) == {"n2", "n3"}
    assert {run: {*steps} for run, steps in decoded.groupby("run")["step"]} == {"n2": {12}, "n3": {6, 12}}
    assert {*timed.loc[timed["run"] == "n3", "heads"]} == {1, 2, 3}
    assert (timed.loc[(timed["heads"] == 1) & (timed["metric"] == "tokens_per_forward"), "value"] == 1).all()
    assert len(plots.speedup(timed)[0].axes) == 3
    assert main(["plot", "acceptance", str(tmp_path / "runs"), "-o", str(tmp_path / "a.png")]) == 0
    assert "acceptance/2" in set(pd.read_csv(tmp_path / "a.csv")["metric"])
    assert main(["plot", "acceptance", str(tmp_path / "runs" / "n1"), "-o", str(tmp_path / "b.png")]) == 2
    assert "no run has 2 prediction heads" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()
