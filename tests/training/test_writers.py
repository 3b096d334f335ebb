"""A run has one writer, which touches its own files alone; states are derived from its lock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from lab.cli.main import main
from lab.config import dump
from lab.errors import LabError
from lab.runs.lock import LOCK, Lock
from tests.helpers.digests import digest_files
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


def make_killed_run(path: Path) -> lab.Run:
    """Write a run folder as a kill before the first evaluation leaves it."""
    return make_run(path, tiny(), state="running")


def test_a_state_is_derived_from_the_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_killed_run(tmp_path / "run")
    assert run.state == "killed"
    lock = Lock(run.path)
    assert run.state == "running"
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" ago  running")
    record = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(record | {"state": "stopped"}))
    lock.release()
    assert run.state == "stopped", "the run ended after it was opened"


def test_the_second_writer_is_rejected(tmp_path: Path) -> None:
    run = make_killed_run(tmp_path / "seed0")
    lock = Lock(run.path)
    before = digest_files(run.path.iterdir())
    experiments = {run.path: tiny(), tmp_path / "seed1": tiny(seed=1)}
    for writer in (
        lambda: lab.resume(run.path),
        lambda: lab.train_each(experiments),
        lambda: lab.train_ensemble(experiments),
    ):
        with pytest.raises(LabError, match="seed0: another process trains this run"):
            writer()
    with pytest.raises(LabError, match=r"a run is there already \(another process trains it\)"):
        lab.train(tiny(), run.path)
    assert digest_files(run.path.iterdir()) == before
    assert not (tmp_path / "seed1").exists()
    lock.release()
    assert [each.state for each in lab.train_each(experiments)] == ["finished", "finished"]
    assert not list(tmp_path.rglob(LOCK))


def test_of_two_concurrent_commands_one_trains(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(dump(tiny()))
    words = [sys.executable, "-m", "lab", "train", "--config", "e.yaml", "--out", "run"]
    both = [
        subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert "run: " in "".join(errors)
    whole = lab.train(tiny(), tmp_path / "whole")
    assert (tmp_path / "run/metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_only_folders_written_by_a_run_are_checkpoints(tmp_path: Path) -> None:
    whole = lab.train(tiny(), tmp_path / "whole")
    run = make_killed_run(tmp_path / "run")
    for name in ("checkpoint-notes", "checkpoint-backup", "checkpoint-7", "checkpoint-99999999", "checkpoint-00000003 (copy)"):
        (run.path / name).mkdir()
        (run.path / name / "mine.txt").write_text("mine")
    (run.path / ".run.json.0123abcd.partial").write_text("half")
    (run.path / ".checkpoint-00000009.0123abcd.partial").mkdir()
    assert run.checkpoint() is None
    done = lab.resume(run)
    assert done.metrics() == whole.metrics()
    assert len(list(run.path.glob("checkpoint-*/mine.txt"))) == 5
    assert not list(run.path.glob(".*"))


def test_a_folder_with_the_name_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    run = make_killed_run(tmp_path / "run")
    (run.path / "checkpoint-00000006").mkdir()
    (run.path / "checkpoint-00000006" / "mine.txt").write_text("mine")
    with pytest.raises(LabError, match="checkpoint-00000006: exists already"):
        lab.resume(run)
    assert run.state == "killed"
    (run.path / "checkpoint-00000006").rename(tmp_path / "mine")
    assert lab.resume(run).state == "finished"
