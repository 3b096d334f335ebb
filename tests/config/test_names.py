"""Short names of settings stand for the dotted ones wherever a setting is named."""

from pathlib import Path
from typing import Any

import pytest

import lab
from lab.config.files import from_settings, setting_names
from lab.config.names import RENAMED, SHORT, full_name, rename_settings
from lab.config.yaml import read_yaml
from lab.errors import LabError
from tests.helpers.tiny import tiny

VALUES: dict[str, Any] = {
    "size": "3M", "width": 32, "layers": 6, "n_heads": 2, "heads": "causal", "matched": "none", "lr": 1e-4, "warmup": 7,
    "objective": "bag",
}  # fmt: skip
"""A value other than the default for every short name."""


def test_short_names_belong_to_settings_and_hide_none() -> None:
    assert set(SHORT.values()) <= set(setting_names())
    assert set(SHORT) & {*setting_names(), *RENAMED} == set()
    assert set(VALUES) == set(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_a_short_name_is_accepted_wherever_the_dotted_one_is(name: str) -> None:
    value, usual = VALUES[name], lab.experiment("induction")
    dotted = lab.experiment("induction", {SHORT[name]: value})
    assert dotted != usual
    assert lab.experiment("induction", {name: value}) == dotted
    assert lab.experiment("induction", **{name: value}) == dotted
    assert lab.override(usual, {name: value}) == dotted
    assert from_settings(read_yaml(lab.dump(dotted), "text")) == dotted
    assert f"\n{name}:" not in lab.dump(dotted) or name == "objective"


def test_a_file_may_have_short_names(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("task: induction\nlr: 1e-4\nwidth: 32\nobjective: bag\n")
    assert lab.load(tmp_path / "e.yaml") == lab.experiment("induction", lr=1e-4, width=32, objective="bag")


def test_a_group_of_a_short_name_is_still_a_group() -> None:
    experiment = lab.experiment("induction", {"objective": {"name": "bag", "window": 2}})
    assert (experiment.objective.name, experiment.objective.window) == ("bag", 2)
    assert full_name("objective") == "objective.name"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 1.0, "optimiser.peak_lr": 2.0}, "setting optimiser.peak_lr is given twice, once as lr"),
        ({"optimiser": {"peak_lr": 2.0}, "lr": 1.0}, "setting optimiser.peak_lr is given twice, once as lr"),
        ({"objective": "bag", "objective.name": "bag"}, "setting objective.name is given twice, once as objective"),
        ({"accumulate": 2, "grad_accum_steps": 2}, "setting grad_accum_steps is given twice, once as accumulate"),
        (
            {"evaluation": {"gradient_audit": 1}, "evaluation.gradient_audit": 1},
            "evaluation.measures.gradients is given twice",
        ),
        ({"lr": {"a": 1}}, "optimiser.peak_lr must be a number, not {'a': 1}"),
        ({"lrr": 1}, "unknown setting 'lrr'; did you mean 'lr'"),
        ({"witdh": 1}, "unknown setting 'witdh'; did you mean 'width'"),
    ],
    ids=str,
)
def test_a_setting_by_two_names_or_none_is_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError) as caught:
        lab.experiment("induction", settings)
    assert message in str(caught.value)


def test_settings_keep_their_order_and_values() -> None:
    given = {"lr": 1.0, "steps": 2, "model": {"width": 8}}
    assert list(rename_settings(given).items()) == [("optimiser.peak_lr", 1.0), ("steps", 2), ("model", {"width": 8})]


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (9, 0), (20, 2), (50, 5), (51, 50), (4000, 50)])
def test_the_default_warm_up_fits_the_steps(steps: int, warmup: int) -> None:
    experiment = lab.experiment("star", steps=steps)
    assert experiment.schedule.warmup_steps == warmup
    assert from_settings(read_yaml(lab.dump(experiment), "text")) == experiment
    assert lab.override(lab.experiment("star"), {"steps": steps}) == experiment
    assert lab.override(lab.experiment("star", steps=7), {"steps": steps}) == experiment, "a default stays a default"


def test_a_given_warm_up_stays_or_is_rejected() -> None:
    given = lab.experiment("star", warmup=30)
    assert lab.override(given, {"steps": 31}).schedule.warmup_steps == 30
    for settings in ({"steps": 20, "warmup": 50}, {"steps": 20, "schedule": {"warmup_steps": 50}}):
        with pytest.raises(LabError, match=r"schedule\.warmup_steps must be below steps = 20, not 50"):
            lab.experiment("star", settings)
    with pytest.raises(LabError, match=r"schedule\.warmup_steps must be below steps = 20, not 30"):
        lab.override(given, {"steps": 20})


def test_the_papers_warm_up_and_a_budget_fit_few_steps() -> None:
    assert lab.experiment("stories", scale="paper", steps=1000).schedule.warmup_steps == 100
    few = lab.config.resolve(tiny(n_future=2, steps=60, schedule__warmup_steps=50, model__matched="flops"))
    assert few.schedule.warmup_steps == few.steps // 10


@pytest.mark.parametrize("text", ["1e3", "1000", "1.0e3", "1000.0"])
def test_a_whole_number_may_have_an_exponent(text: str, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(f"task: induction\nsteps: {text}\nobjective.active: [[0, 1], [{text[:1]}e2, 1]]\n")
    experiment = lab.load(tmp_path / "e.yaml")
    assert (experiment.steps, experiment.objective.active) == (1000, ((0, 1), (100, 1)))
    assert type(experiment.steps) is int
