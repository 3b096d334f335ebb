"""The commit in run.json is that of our code, or none."""

import subprocess
from pathlib import Path

import pytest

from lab.runs import writer
from lab.runs.writer import git_commit


def git(folder: Path, *words: str) -> str:
    person = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a foreign repository in which our package is installed but not tracked."""
    (tmp_path / "venv/lab/runs").mkdir(parents=True)
    (tmp_path / "venv/lab/__init__.py").touch()
    (tmp_path / "theirs.py").touch()
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "theirs.py")
    git(tmp_path, "commit", "-qm", "theirs")
    monkeypatch.setattr(writer, "__file__", str(tmp_path / "venv/lab/runs/writer.py"))
    return tmp_path


def test_an_enclosing_repository_is_not_ours(repository: Path) -> None:
    assert git_commit() is None
    git(repository, "add", "venv")
    git(repository, "commit", "-qm", "ours")
    assert git_commit() == git(repository, "rev-parse", "HEAD")
    (repository / "theirs.py").write_text("changed")
    assert git_commit() == git(repository, "rev-parse", "HEAD") + "+"


def test_variables_of_git_do_not_select_the_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of git sets these variables."""
    git(repository, "add", "venv")
    git(repository, "commit", "-qm", "ours")
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository / "nowhere"))
    assert git_commit() == commit
