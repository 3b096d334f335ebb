"""Whatever a user may do wrong: one line that names it, exit status 2, and nothing written."""

import os
from pathlib import Path

import pytest

from tests.helpers.rejection import TRAIN, refused
from tests.helpers.wrong_files import FILES
from tests.helpers.wrong_settings import SETTINGS


@pytest.mark.parametrize(("arguments", "expected", "files"), [*SETTINGS, *FILES])
def test_wrong_input_is_named_in_one_line(
    arguments: list[str],
    expected: tuple[str, ...],
    files: dict[str, str | bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(arguments, expected, capsys)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(SETTINGS) + len(FILES) >= 60


def test_a_folder_that_cannot_be_written_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(TRAIN, ("new", "Read-only file system"), capsys)
