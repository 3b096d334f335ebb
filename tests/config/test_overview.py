"""Descriptions of all settings, as the help shows them: meaning, default and range."""

from typing import Any

import pytest

import lab
import tasks
from lab.config.files import flat
from lab.config.overview import defaults_of, describe_settings, describe_task
from lab.config.yaml import read_yaml

DEFAULTS: dict[str, Any] = flat(lab.Experiment(task="induction").model_dump(mode="json", exclude={"task"}))  # type: ignore[arg-type]


def test_every_setting_is_described_with_its_default() -> None:
    described = {each.name: each for each in describe_settings()}
    assert {name: read_yaml(each.default, name) for name, each in described.items()} == DEFAULTS
    assert all(each.meaning for each in described.values()), "a setting without a docstring"
    assert described["schedule.decay_ratio"].allowed == "at least 0, at most 1"
    assert described["precision"].allowed == "float32, bfloat16"
    assert described["model.heads"].allowed.startswith("parallel, linear")
    assert described["optimiser.clip_norm"].allowed == "above 0"
    assert described["objective.teacherless"].allowed == "true, false, a probability"


def test_the_defaults_shown_are_those_of_the_experiment() -> None:
    defaults = defaults_of(lab.experiment("star"))
    assert (defaults["steps"], defaults["optimiser.peak_lr"], defaults["task.degree"]) == ("4000", "0.002", "2")


def test_ranges_of_a_task_have_its_constants_and_settings() -> None:
    allowed = {each.name: each.allowed for task in tasks.TASKS for each in describe_task(tasks.find(task))}
    assert allowed["task.chains"] == "between 1 and 100"
    assert allowed["task.width"] == "between 3 and 9"
    assert allowed["task.verbs"] == "at least cases, a verb for each of the cases"


@pytest.mark.parametrize("name", tasks.names())
def test_settings_of_a_task_have_meaning_default_and_range(name: str) -> None:
    values = defaults_of(lab.experiment(name))
    for each in describe_task(tasks.find(name)):
        assert each.meaning, each
        assert each.allowed, each
        value = values[each.name] if each.name in values else values[f"{each.name}.name"]  # of a task within the task
        assert value == each.default, each
