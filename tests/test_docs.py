"""Pages that are generated from a table in the code have every entry of it; `make docs` builds the whole site."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import lab
import tasks
from docs import generate
from lab import plots
from lab.cli.commands import COMMANDS
from lab.config.evaluation import MEASURES
from lab.config.files import setting_names
from lab.config.kinds import KINDS
from lab.config.objective import OBJECTIVES, WEIGHTS
from lab.metrics import QUANTITIES

ROOT = Path(__file__).parents[1]
TABLES: dict[str, Iterable[str]] = {
    "reference/settings.md": [f"`{name}`" for name in setting_names() if name != "task"],
    "reference/metrics.md": [*(f"`{name}`" for name in MEASURES), *(f"`{name}" for name in QUANTITIES)],
    "reference/heads.md": [f"`{name}`" for name in KINDS],
    "reference/objectives.md": [f"`{name}`" for name in (*OBJECTIVES, *WEIGHTS)],
    "reference/figures.md": [f"## {name}\n" for name in plots.FIGURES],
    "reference/tasks.md": [f"## {name}\n" for name in tasks.TASKS],
    "reference/commands.md": [f"## lab {name}\n" for name in COMMANDS],
    "api/lab.md": [f"`lab.{name}`" for name in dir(lab)],
}


@pytest.mark.parametrize("page", TABLES)
def test_a_generated_page_has_every_entry(page: str) -> None:
    text = generate.PAGES[page]()
    assert [entry for entry in TABLES[page] if entry not in text] == []


def test_every_generated_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in generate.PAGES if page not in navigation] == []


def test_every_package_has_an_api_page() -> None:
    packages = {f"lab.{path.parent.name}" for path in (ROOT / "lab").glob("*/__init__.py")}
    assert packages - {"lab.cli", "lab.reproduce"} == set(generate.PACKAGES) - {"tasks"}


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_has_a_section(name: str) -> None:
    assert re.search(rf"^## {name}$", (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8"), re.MULTILINE)
