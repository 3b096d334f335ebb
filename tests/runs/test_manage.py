"""Runs are removed and moved as a whole, and nothing else is touched."""

import errno
from pathlib import Path

import pytest

import lab
from lab.errors import LabError
from lab.runs.lock import Lock
from lab.runs.manage import move_run, remove_runs
from tests.helpers.rejection import listing
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two runs, a run of a sweep, a broken run, a foreign folder, and a link."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "sweep/n1-seed0"):
        make_run(tmp_path / "runs" / name, lab.experiment("induction"), {0: {METRIC: 0.1}, 5: {METRIC: 0.2}})
    (tmp_path / "runs/sweep/sweep.yaml").write_text("name: sweep\n")
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/run.json").write_text("{}")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to("runs/a")
    return tmp_path


def test_runs_are_removed_and_nothing_else(folder: Path) -> None:
    remove_runs([Path("runs/a"), Path("runs/broken"), Path("runs/a/")])
    assert sorted(path.name for path in Path("runs").iterdir()) == ["b", "sweep"]
    remove_runs([Path("runs/sweep/n1-seed0")])
    assert [path.name for path in Path("runs/sweep").iterdir()] == ["sweep.yaml"]


WRONG = {
    "missing": ("runs/gone", "runs/gone: no such folder"),
    "no run": ("mine", r"mine: not a run \(it holds no run.json\)"),
    "a file": ("mine/notes.txt", "mine/notes.txt: no such folder"),
    "folder of runs": ("runs", r"runs: not a run \(but holds some, as runs/"),
    "link": ("link", "link: is a link to .*/runs/a; name the run itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_if_a_path_is_no_run_nothing_is_removed(name: str, folder: Path) -> None:
    path, message = WRONG[name]
    before = listing(folder)
    with pytest.raises(LabError, match=message):
        remove_runs([Path("runs/b"), Path(path)])
    with pytest.raises(LabError, match=message):
        move_run(Path(path), Path("new"))
    assert listing(folder) == before


def test_if_a_run_is_in_training_nothing_is_removed(folder: Path) -> None:
    lock = Lock(Path("runs/b"))
    before = listing(folder)
    for attempt in (lambda: remove_runs([Path("runs/a"), Path("runs/b")]), lambda: move_run(Path("runs/b"), Path("new"))):
        with pytest.raises(LabError, match="runs/b: another process trains this run"):
            attempt()
    assert listing(folder) == before
    lock.release()
    remove_runs([Path("runs/b")])


def test_a_run_that_contains_another_is_not_removed(folder: Path) -> None:
    Path("runs/b").rename("runs/a/b")
    with pytest.raises(LabError, match="runs/a: holds another run, runs/a/b"):
        remove_runs([Path("runs/a")])
    assert lab.Run("runs/a/b").state == "finished"


@pytest.mark.parametrize("across", [False, True], ids=["one file system", "two file systems"])
def test_a_moved_run_is_the_same_run(across: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if across:
        usual = Path.rename

        def rename(self: Path, target: Path) -> Path:
            if not self.name.startswith(".") and not target.name.startswith("."):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return usual(self, target)

        monkeypatch.setattr(Path, "rename", rename)
    before, sign = listing(Path("runs/a")), lab.Run("runs/a").last_written
    assert move_run(Path("runs/a"), Path("first")) == Path("first")
    assert listing(Path("first")) == before
    assert lab.Run("first").last_written == sign
    assert not Path("runs/a").exists()
    assert move_run(Path("first"), Path("mine")) == Path("mine/first"), "into a folder, as mv does"
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("run", "target", "message"),
    [
        ("runs/a", "runs/b", "runs/b: exists already"),
        ("runs/a", "mine/notes.txt", "mine/notes.txt: exists already"),
        ("runs/a", "gone/new", "gone: no such folder"),
        ("runs/a", "runs/a/new", "lies in the run a"),
        ("runs/a", "runs/sweep", "would lie among the runs of the sweep"),
        ("runs/sweep/n1-seed0", "new", "is a run of the sweep in .*, which would miss it"),
    ],
)
def test_a_run_is_not_moved_over_or_into_anything(run: str, target: str, message: str, folder: Path) -> None:
    before = listing(folder)
    with pytest.raises(LabError, match=message):
        move_run(Path(run), Path(target))
    assert listing(folder) == before
