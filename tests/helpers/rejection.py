"""Commands that are rejected: one line, exit status 2, nothing written."""

from pathlib import Path
from typing import NamedTuple

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


class Wrong(NamedTuple):
    """A command that is rejected.

    Attributes:
        arguments: The command.
        expected: Parts of its error message.
        files: The content of files that it finds, by path.
    """

    arguments: list[str]
    expected: tuple[str, ...]
    files: dict[str, str | bytes]

    def write_files(self) -> None:
        """Write the files below the working directory."""
        for name, content in self.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def row(phrase: str, arguments: list[str] | str, *expected: str, files: dict[str, str | bytes] | None = None) -> object:
    """Return a test case: its name, a command, parts of the error message, and files that the command finds."""
    words = arguments.split() if isinstance(arguments, str) else arguments
    return pytest.param(Wrong(words, expected, files or {}), id=phrase)


def listing(folder: Path) -> dict[str, str | None]:
    """Return the digest of every file below a folder, and None for every folder, by path."""
    return {str(path.relative_to(folder)): digest(path) if path.is_file() else None for path in sorted(folder.rglob("*"))}


def assert_rejected(
    arguments: list[str], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str], status: int = 2
) -> None:
    """Assert that a command ends with one line on standard error that has these words, and writes nothing."""
    before = listing(Path.cwd())
    capsys.readouterr()
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert len(err) < 2100
    assert err.startswith("lab: ")
    for words in expected:
        assert words in err
    assert listing(Path.cwd()) == before, "something was written"
