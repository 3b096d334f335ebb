"""Every setting is listed by the help and by docs/experiments.md, with its default."""

import itertools
import re
from pathlib import Path
from typing import Any

import lab
from lab.config.files import flat, setting_names
from lab.config.overview import describe_settings, settings_help
from lab.config.yaml import read_yaml

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"
DEFAULTS: dict[str, Any] = flat(lab.Experiment(task="induction").model_dump(mode="json", exclude={"task"}))  # type: ignore[arg-type]


def documented() -> dict[str, str]:
    """Default by setting, from the page's table, where `model.width`, `layers` are two settings of a group."""
    table = PAGE.read_text().split("| setting | default | meaning |")[1].split("\n\n")[0]
    found = {}
    for row in table.splitlines()[2:]:
        names, defaults = row.split(" | ")[:2]
        group = ""
        for name, default in itertools.zip_longest(re.findall(r"`([\w.*]+)`", names), defaults.split(", ")):
            group = name.rpartition(".")[0] if "." in name else group
            found[f"{group}.{name.rpartition('.')[2]}".removeprefix(".")] = default
    return found


def test_every_setting_is_documented_with_its_default() -> None:
    page = documented()
    del page["task.*"]
    assert set(page) == set(setting_names()) - {"task"}
    assert {name: {"none": None}.get(text, read_yaml(text, name)) for name, text in page.items()} == {
        name: {"none": None}.get(value, value) for name, value in DEFAULTS.items()
    }


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
