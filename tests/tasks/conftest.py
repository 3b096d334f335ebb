"""Fixtures: every task, and the task `stories` over a small corpus."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks
from tasks import Task
from tests.helpers.every_task import EVERY
from tests.helpers.stories import VOCABULARY, stories


@pytest.fixture(params=[*EVERY, "stories of a corpus"])
def task(request: pytest.FixtureRequest) -> Task:
    return tasks.get(request.param) if request.param in EVERY else request.getfixturevalue("corpus_task")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the cache of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "mtp-lab"


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a corpus of 600 stories, separated by blank lines; in a third of them a name follows a quotation mark."""
    path = tmp_path_factory.mktemp("corpus") / "stories.txt"
    quoted = [add_quotation(story) if number % 3 == 0 else story for number, story in enumerate(stories(600))]
    path.write_text("\n\n".join(quoted), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus_task(text: Path, cache: Path) -> Task:
    return tasks.get("stories", corpus=str(text), vocabulary=VOCABULARY, length=256)


def add_quotation(text: str) -> str:
    """Add direct speech of the first character to a story, with a name after a quotation mark."""
    name = re.findall(r"[A-Z][a-z]+", text)[0]
    return f'{text}\n"{name}!" said {name}\'s friend, "come here." {name} came.'
