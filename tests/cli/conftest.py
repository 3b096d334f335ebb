"""Tests of commands start in an empty folder, so that none writes into the repository."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def change_to_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
