"""The study of reach: its plan, the choice of the rate, and a page that follows from its frame."""

import pandas as pd
import pytest

from lab.reproduce import reach
from lab.sweeping.spec.configurations import grid_experiments


def test_runs_differ_in_distance_and_trained_heads_alone() -> None:
    tuning, grid, alone = (grid_experiments(stage.largest) for stage in reach.stages("laptop"))
    assert (len(tuning), len(grid), len(alone)) == (16, 160, 32)
    assert {each.evaluation.split for each in tuning.values()} == {"validation"}
    assert {each.evaluation.split for each in (*grid.values(), *alone.values())} == {"test"}
    seeds = [{each.seed for each in planned.values()} for planned in (tuning, grid, alone)]
    assert seeds[0].isdisjoint(seeds[1])
    assert seeds[1] == seeds[2]
    base = next(iter(grid.values()))
    for each in (*grid.values(), *alone.values()):
        same = each.model_copy(
            update={"n_future": base.n_future, "seed": base.seed, "task": base.task, "objective": base.objective}
        )
        assert same.fingerprint == base.fingerprint
    combinations = {(each.task.settings["distance"], each.n_future) for each in grid.values()}
    assert sum(reach.expected(*each) for each in combinations) == 14


def test_networks_with_heads_left_out_keep_head_1() -> None:
    for name, settings in reach.ALONE.items():
        weights = settings[reach.WEIGHTS]
        assert len(weights) == settings[reach.HEADS]
        assert weights[0] == 1
        trained = bool(weights[settings[reach.DISTANCE]])  # head d + 1
        assert trained == ("3 of 3" in name or "4 of 4" in name)


def times_of(values: dict[float, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {reach.RATE: rate, "seed": seed, "solved": value, "solved_observed": True}
        for rate, each in values.items()
        for seed, value in enumerate(each)
    )


def test_the_rate_has_the_least_geometric_mean() -> None:
    assert reach.best_rate(times_of({1e-3: [100, 1000], 2e-3: [400, 400], 4e-3: [10, 5000]})) == 4e-3  # 316, 400, 224


def frame_of(times: dict[tuple[int, int, str], list[float]]) -> pd.DataFrame:
    """Build a frame of runs that pass the threshold at given tokens, inf for never, by distance, heads and trained heads."""
    rows = [
        {"run": f"{key}{seed}", "stage": "alone" if key[2] else "grid", "seed": seed, "state": "finished", "reached": ""}
        | {reach.DISTANCE: key[0], reach.HEADS: key[1], "trained": key[2] or None}
        | {"step": tokens // 100, "tokens": tokens, "metric": reach.METRIC, "value": 0.95 if tokens >= time else 0.4}
        for key, each in times.items()
        for seed, time in enumerate(each)
        for tokens in range(0, 1001, 100)
    ]
    return pd.DataFrame(rows)


def test_tables_count_escapes_and_take_medians_over_all_runs() -> None:
    inf = float("inf")
    named = frame_of(
        {
            (0, 1, ""): [100, 200, 300, 400],
            (0, 2, ""): [200, 100, inf, inf],
            (1, 1, ""): [inf, inf, inf, inf],
            (1, 2, ""): [100, inf, inf, inf],
            (2, 3, "heads 1 and 3 of 3"): [500, inf],
        }
    )
    table = reach.escapes(named)
    assert list(table["escaped"].str.split(" \\[").str[0]) == ["4 of 4", "2 of 4", "0 of 4", "1 of 4"]
    assert list(table["median M tokens"]) == ["0.00", "0.00", "-", "-"]
    assert list(table["asked at the key"]) == ["yes", "yes", "no", "yes"]
    (row,) = reach.alone_table(named).to_dict("records")
    assert (row["d"], row["trained"], row["M tokens, each seed"]) == (2, "heads 1 and 3 of 3", "0.00 -")
    figure, numbers = reach.draw(named)
    assert list(numbers["median"].fillna(-1)) == [200, 200, -1, -1]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["200\n4 of 4", "200\n2 of 4", "> 1k\n0 of 4", "> 1k\n1 of 4"]


@pytest.mark.parametrize("distance", range(4))
def test_runs_are_expected_to_escape_if_n_exceeds_the_distance(distance: int) -> None:
    assert [n for n in range(1, 6) if reach.expected(distance, n)] == list(range(distance + 1, 6))
