"""Commands that are rejected: one line, exit status 2, nothing written."""

from pathlib import Path

import pytest

from lab.cli.main import main
from tests.helpers.digests import digest

TINY = [
    *("--width", "8", "--layers", "3", "--n-heads", "2", "--steps", "4", "--batch-size", "4", "--schedule.warmup-steps", "1"),
    *("--task.vocabulary", "12", "--task.period", "[3,5]", "--task.length", "12", "--task.test-period", "null"),
    *("--evaluation.every", "2", "--evaluation.examples", "4"),
]


TRAIN = ["train", "induction", *TINY, "--out", "new"]


def train(*more: str) -> list[str]:
    """Return the words of a training command with more words at its end."""
    return [*TRAIN, *more]


def train_with(**settings: str) -> list[str]:
    """Return the words of a training command with some of its settings replaced."""
    words = list(TRAIN)
    for name, value in settings.items():
        words[words.index("--" + name.replace("_", "-")) + 1] = value
    return words


def row(phrase: str, arguments: list[str] | str, *expected: str, files: dict[str, str | bytes] | None = None) -> object:
    """Return a test case: a name, a command, parts of its error message, and files that it finds."""
    words = arguments.split() if isinstance(arguments, str) else arguments
    return pytest.param(words, expected, files or {}, id=phrase)


def listing(folder: Path) -> dict[str, str | None]:
    """Return the content of every file below a folder, and None for every folder."""
    return {str(path.relative_to(folder)): digest(path) if path.is_file() else None for path in sorted(folder.rglob("*"))}


def assert_rejected(
    arguments: list[str], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str], status: int = 2
) -> None:
    """Assert that a command ends with one line on standard error that has these words, and writes nothing."""
    before = listing(Path.cwd())
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert len(err) < 2100
    assert err.startswith("lab: ")
    for words in expected:
        assert words in err
    assert listing(Path.cwd()) == before, "something was written"
