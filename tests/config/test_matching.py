"""Equal FLOPs and equal wall time: how many steps are left, and that they stand in the run."""

from fractions import Fraction
from pathlib import Path

import pytest

import lab
from lab.config import Experiment, dump, load, resolve
from lab.config.kinds import KINDS
from lab.errors import LabError


def tiny(n_future: int = 2, matched: str = "flops", **more: object) -> Experiment:
    chosen = {
        "model.width": 16, "model.layers": 4, "model.n_heads": 2, "model.matched": matched, "batch_size": 2, "steps": 1000,
        "task.vocabulary": 20, "task.length": 24, "task.period": [3, 8], "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", {**chosen, **more}, n_future=n_future)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_flops_leave_as_many_whole_steps_as_the_budget_pays_for(kind: str) -> None:
    one = resolve(tiny(1, **{"model.heads": kind}))
    assert one.steps == one.budget.steps == 1000
    spent = one.steps * one.flops_per_step
    for n in (2, 3, 6):
        many = resolve(tiny(n, **{"model.heads": kind}))
        assert many.trunk_layers == one.trunk_layers
        assert many.steps * many.flops_per_step <= spent < (many.steps + 1) * many.flops_per_step
        assert many.steps < 1000


def test_equal_time_leaves_the_share_of_the_steps_that_the_given_ratio_says() -> None:
    for ratio in (1.07, 1.25, 0.8):
        many = resolve(tiny(2, "time", **{"budget.step_time": ratio}))
        assert many.steps == int(1000 / Fraction(str(ratio)))
    assert resolve(tiny(1, "time")).steps == resolve(tiny(1, "time", **{"budget.step_time": 2.0})).steps == 1000


def test_what_is_resolved_stays_and_stands_in_the_file(tmp_path: Path) -> None:
    asked = tiny(3)
    resolved = resolve(asked)
    assert resolve(resolved) == resolved != asked
    assert (resolved.budget.steps, resolved.steps) == (asked.steps, resolved.affordable_steps)
    (tmp_path / "e.yaml").write_text(dump(resolved))
    assert load(tmp_path / "e.yaml") == resolved
    changed = {"n_future": 3, "steps": resolved.steps, "budget": resolved.budget}
    assert asked.model_copy(update=changed) == resolved, "nothing else changes"


@pytest.mark.parametrize("matched", ["parameters", "layers", "none"])
def test_where_nothing_is_spent_nothing_is_resolved(matched: str) -> None:
    assert resolve(tiny(2, matched)) is not None
    assert resolve(tiny(2, matched)) == tiny(2, matched)


def test_a_step_is_never_bought_on_credit_but_there_is_always_one() -> None:
    assert resolve(tiny(3, steps=1, **{"schedule.warmup_steps": 0})).steps == 1


@pytest.mark.parametrize(("changed", "words"), [
    ({"matched": "parameters", "budget.steps": 5}, "budget.steps must be null with model.matched parameters, not 5"),
    ({"matched": "flops", "budget.step_time": 1.5}, "budget.step_time must be null with model.matched flops, not 1.5"),
    ({"matched": "time", "budget.steps": 900}, "budget.step_time must be a number where budget.steps is one"),
    ({"matched": "flops", "budget.steps": 1000}, r"steps must be \d+ at equal flops, what budget.steps = 1000 of n = 1"),
    ({"matched": "time", "budget.step_time": 0.0}, "budget.step_time must be above 0"),
])  # fmt: skip
def test_a_budget_that_does_not_fit_is_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(LabError, match=words):
        tiny(2, **changed)  # type: ignore[arg-type]


def test_steps_that_are_left_must_suffice_for_the_schedule_and_time_must_be_known() -> None:
    with pytest.raises(LabError, match=r"schedule\.warmup_steps must be below steps = "):
        resolve(tiny(6, steps=60))
    with pytest.raises(LabError, match=r"budget\.step_time must be a number with model.matched time"):
        resolve(tiny(2, "time"))
