"""Equal FLOPs and equal wall time: the number of steps that the budget allows, and its entry in the file of the run."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lab.config import Experiment, dump, load, resolve
from lab.config.kinds import KINDS
from lab.errors import LabError
from tests.helpers.tiny import tiny


def experiment_of(n_future: int = 2, matched: str = "flops", **changes: Any) -> Experiment:
    settings = {"model__layers": 4, "model__matched": matched, "steps": 1000}
    return tiny(n_future=n_future, **{**settings, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_equal_flops_give_the_steps_that_the_budget_allows(kind: str) -> None:
    one = resolve(experiment_of(1, model__heads=kind))
    assert one.steps == one.budget.steps == 1000
    spent = one.steps * one.flops_per_step
    for n in (2, 3, 6):
        many = resolve(experiment_of(n, model__heads=kind))
        assert many.trunk_layers == one.trunk_layers
        assert many.steps * many.flops_per_step <= spent < (many.steps + 1) * many.flops_per_step
        assert many.steps < 1000


def test_equal_time_divides_the_steps_by_the_ratio() -> None:
    for ratio in (1.07, 1.25, 0.8):
        many = resolve(experiment_of(2, "time", budget__step_time=ratio))
        assert many.steps == int(1000 / Fraction(str(ratio)))
    assert resolve(experiment_of(1, "time")).steps == resolve(experiment_of(1, "time", budget__step_time=2.0)).steps == 1000


def test_a_resolved_experiment_does_not_change_and_is_saved(tmp_path: Path) -> None:
    unresolved = experiment_of(3)
    resolved = resolve(unresolved)
    assert resolve(resolved) == resolved != unresolved
    assert (resolved.budget.steps, resolved.steps) == (unresolved.steps, resolved.affordable_steps)
    (tmp_path / "e.yaml").write_text(dump(resolved))
    assert load(tmp_path / "e.yaml") == resolved
    changed = {"n_future": 3, "steps": resolved.steps, "budget": resolved.budget}
    assert unresolved.model_copy(update=changed) == resolved, "nothing else changes"


@pytest.mark.parametrize("matched", ["parameters", "layers", "none"])
def test_without_a_budget_nothing_is_resolved(matched: str) -> None:
    assert resolve(experiment_of(2, matched)) == experiment_of(2, matched)


def test_there_is_always_one_step() -> None:
    assert resolve(experiment_of(3, steps=1, schedule__warmup_steps=0)).steps == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"matched": "parameters", "budget__steps": 5},
            "budget.steps must be null with model.matched parameters, not 5",
        ),
        (
            {"matched": "flops", "budget__step_time": 1.5},
            "budget.step_time must be null with model.matched flops, not 1.5",
        ),
        ({"matched": "time", "budget__steps": 900}, "budget.step_time must be a number where budget.steps is one"),
        ({"budget__steps": 1000}, r"steps must be \d+, at equal flops to budget.steps = 1000 of n = 1"),
        ({"matched": "time", "budget__step_time": 0.0}, "budget.step_time must be above 0"),
    ],
    ids=str,
)
def test_a_budget_that_does_not_fit_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        experiment_of(**changes)


def test_too_few_steps_and_an_unknown_time_are_rejected() -> None:
    with pytest.raises(LabError, match=r"schedule\.warmup_steps must be below steps = "):
        resolve(experiment_of(6, steps=60, schedule__warmup_steps=49))
    with pytest.raises(LabError, match=r"budget\.step_time must be a number with model.matched time"):
        resolve(experiment_of(2, "time"))
