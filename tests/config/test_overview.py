"""Every setting is listed by the help with its default."""

from typing import Any

import lab
from lab.config.files import flat
from lab.config.overview import describe_settings, settings_help
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


def test_the_help_has_the_values_of_a_task() -> None:
    lines = settings_help(lab.experiment("star")).splitlines()
    assert any(line.startswith("  --steps 4000 ") for line in lines)
    assert "  --task.degree 2" in lines
