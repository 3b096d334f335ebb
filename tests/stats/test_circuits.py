"""Formation of parts of circuits: the strongest attention head on the next-token path, and the times of its thresholds."""

import pytest

from lab.errors import LabError
from lab.stats.circuits import THRESHOLDS, circuit_orders, circuit_times, strongest
from tests.helpers.circuits import circuits_frame

EARLY, LATE, NOISE = (0.0, 0.6, 0.7, 0.8), (0.0, 0.1, 0.6, 0.7), (0.0, 0.6, 0.0, 0.1)
FRAME = circuits_frame(
    {
        (1, 0): {"previous_token": EARLY, "k_composition": LATE, "prefix_matching": LATE},
        (1, 1): {"previous_token": EARLY, "k_composition": EARLY, "prefix_matching": LATE},
        (2, 0): {"previous_token": EARLY, "k_composition": LATE, "prefix_matching": NOISE},
    }
)


def test_the_strongest_head_is_on_the_next_token_path() -> None:
    best = strongest(FRAME).frame
    assert best["value"].max() == 0.8, "prediction head 2, which is not on the path, has 1.7"
    assert len(best) == 3 * 3 * 4


def test_a_frame_needs_no_states() -> None:
    """As any frame: its runs all count."""
    assert circuit_times(strongest(FRAME.drop(columns="state"))).equals(circuit_times(strongest(FRAME)))


def test_times_are_those_of_thresholds_that_hold() -> None:
    times = circuit_times(strongest(FRAME)).set_index("run")
    assert times.loc["n1-0", list(THRESHOLDS)].tolist() == [1000, 1000, 2000], (
        "the threshold of composition is 0.05, that of the scores 0.5"
    )
    assert not times.loc["n2-0", "prefix_matching_observed"]
    unfinished = FRAME.assign(tokens=FRAME["tokens"].where((FRAME["run"] != "n1-0") | (FRAME["step"] != 30)))
    shorter = circuit_times(strongest(unfinished)).set_index("run")
    assert not shorter.loc["n1-0", "prefix_matching_observed"], "the last point was not evaluated"
    with pytest.raises(LabError, match="no run says how many tokens it had seen"):
        strongest(FRAME.assign(tokens=float("nan")))


def test_a_part_that_a_network_cannot_have_never_forms() -> None:
    one_layer = FRAME[(FRAME["n_future"] == 1) | (FRAME["quantity"] != "k_composition")]
    times = circuit_times(strongest(one_layer)).set_index("run")
    assert list(times.index) == ["n1-0", "n1-1", "n2-0"]
    assert times.loc["n2-0", ["previous_token", "k_composition"]].tolist() == [1000, 3000]
    assert not times.loc["n2-0", "k_composition_observed"]
    alone = one_layer[one_layer["n_future"] == 2]
    _, orders, _ = circuit_orders(alone).values()
    assert orders["order"].tolist() == ["previous_token; never: k_composition, prefix_matching"]


def test_orders_need_several_steps() -> None:
    assert circuit_orders(FRAME[FRAME["step"] == 30]) == {}
    moments, orders, pairs = circuit_orders(FRAME).values()
    assert moments.to_numpy().tolist() == [
        ["n = 1", 0, "1000", "1000", "2000"],
        ["n = 1", 1, "1000", "1000", "2000"],
        ["n = 2", 0, "1000", "1000", "> 3000"],
    ]
    assert orders[["condition", "order", "seeds", "of"]].to_numpy().tolist() == [
        ["n = 1", "previous_token = k_composition < prefix_matching", 2, 2],
        ["n = 2", "previous_token = k_composition; never: prefix_matching", 1, 1],
    ]
    assert len(pairs) == 2 * 3
