"""The importance of settings: which is first, and how far above chance."""

import numpy as np
import pandas as pd
import pytest

from lab.errors import LabError
from lab.stats import importance
from lab.stats.importance import importance_table

pytestmark = pytest.mark.process  # seconds each

SETTINGS = ["rate", "kind", "width"]


@pytest.fixture(autouse=True)
def few_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate the importance under chance from fewer shuffles than in a figure."""
    monkeypatch.setattr(importance, "SHUFFLES", 40)


def configurations(seed: int, count: int = 60) -> pd.DataFrame:
    """Return configurations whose mean depends on no setting."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "rate": 10 ** rng.uniform(-4, -1, count),
            "kind": rng.choice(["a", "b", "c"], count),
            "width": rng.choice([32, 64], count),
            "mean": rng.normal(size=count),
        }
    )


def test_the_decisive_setting_is_first_and_far_above_chance() -> None:
    table = configurations(0).assign(mean=lambda each: (each["kind"] == "b") + 0.01 * each["mean"])
    found = importance_table(table, SETTINGS)
    assert found["setting"][0] == "kind"
    assert found["importance"].sum() == pytest.approx(1)
    assert found["importance"][0] > 3 * found["chance"][0]
    assert set(found["cells"]) == {60}


def test_a_range_counts_by_the_position_of_the_best() -> None:
    table = configurations(1).assign(mean=lambda each: -np.abs(np.log10(each["rate"]) + 2.5))
    assert importance_table(table, SETTINGS)["setting"][0] == "rate"


def test_the_lowest_losses_are_the_best() -> None:
    table = configurations(2).assign(
        mean=lambda each: np.where(each["kind"] == "a", 0.1, np.where(each["kind"] == "b", 5.0, 1.0))
    )
    flipped = table.assign(mean=-table["mean"])
    pd.testing.assert_frame_equal(importance_table(table, SETTINGS, lower_is_better=True), importance_table(flipped, SETTINGS))


def test_unrelated_settings_rarely_exceed_chance() -> None:
    tables = [importance_table(configurations(seed, 24), SETTINGS) for seed in range(10)]
    above = sum((table["importance"] > table["chance"]).sum() for table in tables)
    assert above <= 6  # of 30, where 1.5 are expected: more happens once in a thousand times


def test_a_setting_that_some_configurations_lack_is_left_out() -> None:
    table = configurations(3).assign(width=lambda each: each["width"].where(each["kind"] == "a"))
    assert set(importance_table(table, SETTINGS)["setting"]) == set(SETTINGS)


def test_too_few_configurations_are_rejected() -> None:
    with pytest.raises(LabError, match="at least 8 configurations, not 7"):
        importance_table(configurations(0, 7), SETTINGS)


def test_configurations_that_are_all_alike_are_rejected() -> None:
    with pytest.raises(LabError, match="all 60 configurations have the same value"):
        importance_table(configurations(0).assign(mean=1.0), SETTINGS)
