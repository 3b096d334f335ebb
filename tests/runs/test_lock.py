"""Locks that the kernel holds."""

import multiprocessing as mp
import shutil
import signal
from pathlib import Path

import pytest

from lab.runs.lock import LOCK, Busy, Lock, is_locked


def test_a_lock_is_held_until_its_process_ends(tmp_path: Path) -> None:
    ours, theirs = mp.get_context("fork").Pipe()

    def child() -> None:
        Lock(tmp_path)
        theirs.send("taken")
        signal.pause()

    process = mp.get_context("fork").Process(target=child)
    process.start()
    assert ours.recv() == "taken"
    assert is_locked(tmp_path / LOCK)
    with pytest.raises(Busy, match="another process trains this run"):
        Lock(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert not is_locked(tmp_path / "copy" / LOCK)
    process.kill()
    process.join()
    assert not is_locked(tmp_path / LOCK)
    Lock(tmp_path).release()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_moves_with_its_folder_and_reads_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lock = Lock(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert is_locked(tmp_path / "b" / LOCK)
    lock.release()
    assert not is_locked(tmp_path / "b" / LOCK)
    assert not list((tmp_path / "b").iterdir())
