"""A small corpus, told by the grammar of the task `stories`: what to use where no real text is at hand."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tasks
from tasks import Task

VOCABULARY = 480


def told(count: int, seed: int = 0) -> list[str]:
    """Stories as text, each character with one name."""
    grammar = tasks.get("stories")
    batch = grammar.batch(seed, 0, count)
    texts = []
    for row in range(count):
        words = [word for word, role in grammar.show(batch, row) if not role.startswith("second") and role != "end"]
        texts.append(re.sub(r" ([.,!?])", r"\1", " ".join(words)))
    return texts


def quoted(text: str) -> str:
    """The story with something that its first character says, a name behind a quotation mark."""
    name = re.findall(r"[A-Z][a-z]+", text)[0]
    return f'{text}\n"{name}!" said {name}\'s friend, "come here." {name} came.'


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "mtp-lab"


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus: 600 stories, blank lines between."""
    path = tmp_path_factory.mktemp("corpus") / "stories.txt"
    stories = [quoted(story) if number % 3 == 0 else story for number, story in enumerate(told(600))]
    path.write_text("\n\n".join(stories), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def task(text: Path, cache: Path) -> Task:
    """The task over it."""
    return tasks.get("stories", corpus=str(text), vocabulary=VOCABULARY, length=256)
