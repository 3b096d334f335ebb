"""Documentation that cannot lag: every registered task has its section, and a picture of what it draws today."""

from pathlib import Path

import pytest
from PIL import Image

import tasks
from lab.cli.tasks.draw import cells_of
from lab.plots.gallery import digest

DOCS = Path(__file__).parents[1] / "docs"
MOST_BYTES = 150_000


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_has_a_section_and_a_picture_of_what_it_draws(name: str) -> None:
    sections = (DOCS / "tasks.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (each for each in sections if each.split("\n", 1)[0] == name)
    assert f"](tasks/{name}.png)" in section
    assert tasks.find(name).summary in section
    picture = DOCS / "tasks" / f"{name}.png"
    assert picture.stat().st_size < MOST_BYTES
    with Image.open(picture) as image:
        shown = image.text["Comment"]  # type: ignore[attr-defined]
    assert shown == digest(*cells_of(tasks.get(name))), "draw it anew: lab tasks gallery -o docs/tasks"


def test_no_picture_is_left_of_a_task_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "tasks").glob("*.png")} == set(tasks.TASKS)
