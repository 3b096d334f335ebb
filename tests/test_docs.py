"""Pages that are generated from a table in the code have every entry of the table; `make docs` builds the whole site."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest

import lab
import tasks
from docs import figures, pages
from lab import plots
from lab.cli.commands import COMMANDS, find_command
from lab.config.evaluation import MEASURES
from lab.config.files import setting_names
from lab.config.kinds import KINDS
from lab.config.names import SHORT
from lab.config.objective import WEIGHTS
from lab.config.objective_table import OBJECTIVES
from lab.inspection.instruments import INSTRUMENTS
from lab.metrics import QUANTITIES

ROOT = Path(__file__).parents[1]
TABLES: dict[str, Iterable[str]] = {
    "reference/settings.md": [f"`{name}`" for name in setting_names() if name != "task"],
    "reference/metrics.md": [*(f"`{name}`" for name in MEASURES), *(f"`{name}" for name in QUANTITIES)],
    "reference/heads.md": [f"`{name}`" for name in KINDS],
    "reference/objectives.md": [f"`{name}`" for name in (*OBJECTIVES, *WEIGHTS)],
    "reference/figures.md": [f"## {name}\n" for name in plots.FIGURES],
    "reference/tasks.md": [entry for name in tasks.TASKS for entry in (f"## {name}\n", f"[{name}](#{name})")],
    "reference/information.md": ["(tasks.md#markov) | `state`"],
    "reference/commands.md": [f"## lab {name}\n" for name in COMMANDS],
    "api/lab.md": [f"`lab.{name}`" for name in dir(lab)],
}


@pytest.mark.parametrize("page", TABLES)
def test_a_generated_page_has_every_entry(page: str) -> None:
    text = pages.PAGES[page]()
    assert [entry for entry in TABLES[page] if entry not in text] == []


def test_gallery_pictures_have_a_sentence_and_a_command() -> None:
    assert set(figures.SHOWS) == set(figures.PICTURES) <= set(plots.FIGURES)
    assert figures.figure_picture("size", ROOT).startswith(b"\x89PNG")


def test_every_generated_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in pages.PAGES if page not in navigation] == []


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_has_a_section(name: str) -> None:
    assert re.search(rf"^## {name}$", (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_has_a_section(name: str) -> None:
    text = (ROOT / "docs" / "inspection.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {name}: .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert "**It cannot show**" in section[0]
    assert f"lab inspect {name} " in section[0]


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "results").glob("**/README.md")]
COMMAND = re.compile(r"^    (?:\$ |exec )?lab ((?:\S+ ?)+)", re.MULTILINE)
LINES = sorted({line.strip() for page in PAGES for line in COMMAND.findall(page.read_text(encoding="utf-8"))})


def options(text: str) -> set[str]:
    """Find the options in a text, with underscores."""
    return {option.replace("-", "_") for option in re.findall(r"(?<!\S)--([a-z][\w.-]*)", text)}


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_has_its_options(line: str) -> None:
    name, words = find_command(shlex.split(line))
    if any(re.fullmatch(r"\w+(\.\w+)*:[A-Z]\w*", word) for word in words[:1]):
        pytest.skip("of a task that the reader writes")
    known = options(pages.help_of(f"{name} {words[0]}" if name in ("plot", "inspect") else name)) | {*SHORT, *setting_names()}
    known |= {field.name for task in tasks.TASKS for field in fields(tasks.find(task))}
    used = {option.removeprefix("task.") for option in options(line)}
    assert {option for option in used - {"name"} if not option.startswith("task.")} <= known
