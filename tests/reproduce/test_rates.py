"""The study of rates: its plan, and the choice of the rate of each seed by the others."""

import numpy as np
import pandas as pd
import pytest

from lab.reproduce import rates
from lab.sweeping.spec.configurations import grid_experiments


def test_runs_differ_in_heads_and_rate_alone() -> None:
    (stage,) = rates.stages("laptop")
    runs = grid_experiments(stage.largest)
    assert len(runs) == 80
    assert {(each.n_future, each.optimiser.peak_lr) for each in runs.values()} == {
        (n, rate) for n in (1, 2) for rate in rates.RATES
    }
    assert all(each.positions_per_step * each.steps > 10e6 for each in runs.values())


def table(values: dict[tuple[int, float], list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {rates.HEADS: heads, rates.RATE: rate, "seed": seed, "escaped": time, "escaped_observed": time < 900}
        for (heads, rate), each in values.items()
        for seed, time in enumerate(each)
    )


def test_the_other_seeds_choose_a_seeds_rate() -> None:
    """Rate 2 is best for the first seed by luck alone; the other seeds choose rate 1 for it."""
    lucky = {(2, 1.0): [100, 100, 100, 100], (2, 2.0): [1, 200, 200, 200], (1, 1.0): [400] * 4, (1, 2.0): [900] * 4}
    found = rates.chosen(table(lucky), 2)
    assert found.loc[found["seed"] == 0, rates.RATE].item() == 1.0
    assert found.loc[found["seed"] == 0, "escaped"].item() == 100


def test_the_ratio_is_of_geometric_means_at_the_best_rates() -> None:
    one, two = [300.0, 600, 900, 450], [100.0, 150, 300, 90]
    values = {(1, 1.0): one, (1, 2.0): [899] * 4, (2, 1.0): [500] * 4, (2, 2.0): two}
    found = rates.compare(table(values))
    assert found.ratio == pytest.approx(np.prod(np.divide(one, two)) ** 0.25)
    assert found.low <= found.ratio <= found.high
    assert found.censored == (1, 0)
    assert found.p_value == pytest.approx(2 / 2**4)
