"""Short names of settings in a sweep's file."""

from typing import Any

import pytest

from lab.config import Experiment
from lab.errors import LabError
from lab.sweeping.spec.configurations import build_experiment
from lab.sweeping.spec.files import dump, from_mapping

LONG: dict[str, Any] = {
    "name": "s",
    "base": {"task": "star", "optimiser.peak_lr": 1e-3, "steps": 20},
    "grid": {
        "model.width": [32, 64],
        "size": {"small": {"model.layers": 4}, "large": {"model.layers": 5, "schedule.warmup_steps": 3}},
    },
}
SHORT: dict[str, Any] = {
    "name": "s",
    "base": {"task": "star", "lr": 1e-3, "steps": 20},
    "grid": {"width": [32, 64], "size": {"small": {"layers": 4}, "large": {"layers": 5, "warmup": 3}}},
}
SEARCH: dict[str, Any] = {
    "lr": {"kind": "log", "low": 1e-4, "high": 1e-2},
    "heads": {"kind": "categorical", "choices": ["causal", "linear"]},
    "size": {"kind": "categorical", "choices": {"small": {"width": 32}}},
}


def test_short_names_are_the_same_sweep() -> None:
    assert from_mapping(SHORT) == from_mapping(LONG)
    assert from_mapping(SHORT).identity == from_mapping(LONG).identity
    assert dump(from_mapping(SHORT)) == dump(from_mapping(LONG))


def test_axes_of_a_search_have_dotted_names_but_labels_stay() -> None:
    sweep = from_mapping({"name": "s", "base": {"task": "star"}, "search": SEARCH, "budget": {"trials": 2}})
    assert list(sweep.axes) == ["optimiser.peak_lr", "model.heads", "size"]
    assert sweep.axes["size"].settings("size", "small") == {"model.width": 32}


@pytest.mark.parametrize(
    ("part", "settings", "message"),
    [
        ("base", {"task": "star", "lr": 1, "optimiser.peak_lr": 1}, "setting optimiser.peak_lr is given twice, once as lr"),
        ("grid", {"width": [32], "model.width": [64]}, "setting model.width is varied twice"),
        ("grid", {"any": {"a": {"lr": 1, "optimiser": {"peak_lr": 1}}}}, "setting optimiser.peak_lr is given twice"),
    ],
    ids=str,
)
def test_a_setting_by_both_names_is_rejected(part: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        from_mapping({**SHORT, part: settings})


def first_experiment(settings: dict[str, Any]) -> Experiment:
    """Build the first experiment of a sweep with these settings in its base."""
    sweep = from_mapping({**LONG, "base": {**LONG["base"], **settings}})
    return build_experiment(sweep, sweep.configurations[0], 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_future": {}}, "n_future must be a whole number, not {}"), ({"bogus": {}}, "unknown setting 'bogus'")],
    ids=str,
)
def test_an_empty_mapping_is_no_setting(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        first_experiment(settings)


def test_an_empty_group_changes_nothing() -> None:
    assert first_experiment({"schedule": {}, "evaluation": {"measures": {}}}) == first_experiment({})
