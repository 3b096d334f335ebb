"""The journal after truncated lines and killed writers, and a real PostgreSQL server with four workers."""

import multiprocessing as mp
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

import lab
from benchmarks import postgres
from lab.sweeping.results import collect
from lab.sweeping.study import leases as leases_module
from lab.sweeping.study.claims import claim
from lab.sweeping.study.journal import JournalLock, drop_incomplete_line
from lab.sweeping.study.leases import Leases
from lab.sweeping.study.storage import open_storage
from lab.sweeping.study.study import open_study
from tests.helpers.sweeps import (
    SHORT,
    TWELVE,
    fork,
    grid,
    numbers,
    run_worker,
    search,
    set_up_sweep,
    train_twelve_by_four,
)


@given(whole=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=5), torn=st.binary(max_size=9))
def test_only_an_incomplete_last_line_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    lines = b"".join(line + b"\n" for line in whole)
    path.write_bytes(lines + torn.replace(b"\n", b""))
    drop_incomplete_line(path)
    assert path.read_bytes() == lines


def test_a_journal_truncated_within_a_line_continues(tmp_path: Path) -> None:
    """Without the repair, Optuna could not read such a journal once another line follows."""
    journal = tmp_path / "journal"
    journal.touch()
    study = optuna.create_study(storage=open_storage(None, journal), study_name="s")
    study.add_trial(optuna.create_trial(value=1.0))
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "cut sh')
    for value in (2.0, 3.0):
        optuna.load_study(storage=open_storage(None, journal), study_name="s").add_trial(optuna.create_trial(value=value))
    again = optuna.load_study(storage=open_storage(None, journal), study_name="s")
    assert [trial.value for trial in again.trials] == [1.0, 2.0, 3.0]


@pytest.mark.process
def test_a_writer_killed_with_the_lock_blocks_no_other(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    study = optuna.create_study(storage=open_storage(None, journal), study_name="s")
    ready = mp.get_context("fork").Event()

    def hold() -> None:
        JournalLock(journal).acquire()
        ready.set()
        time.sleep(60)

    holder = fork(hold)
    assert ready.wait(10)
    holder.kill()
    began = time.monotonic()
    study.add_trial(optuna.create_trial(value=1.0))
    assert time.monotonic() - began < 5
    holder.join()


@pytest.mark.process
def test_a_lease_is_free_exactly_after_its_holder_ends(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    taken = mp.get_context("fork").Event()

    def hold() -> None:
        assert leases.take(3) is not None
        taken.set()
        time.sleep(60)

    holder = fork(hold)
    assert taken.wait(10)
    assert leases.take(3) is None
    other = leases.take(4)
    assert other is not None
    holder.kill()
    holder.join()
    again = leases.take(3)
    assert again is not None
    again.release()
    other.release()


def test_a_lease_of_another_host_expires_without_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system with local locks the lock is free here, though a worker on another host holds the trial."""
    path = tmp_path / "000003"
    path.write_text("elsewhere")
    assert Leases(tmp_path).take(3) is None
    silent = time.time() - leases_module.GRACE_SECONDS - 5
    os.utime(path, (silent, silent))
    lease = Leases(tmp_path).take(3)
    assert lease is not None
    assert path.stat().st_mtime > time.time() - 10
    monkeypatch.setattr(leases_module, "BEAT_SECONDS", 0.01)
    lease.release()
    assert path.read_text() == ""


@pytest.mark.process
def test_one_worker_at_a_time_holds_the_creation_lock(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    taken = mp.get_context("fork").Event()

    def hold() -> None:
        with leases.creation_lock():
            taken.set()
            time.sleep(60)

    holder = fork(hold)
    assert taken.wait(10)
    waiting = threading.Thread(target=lambda: leases.creation_lock().__enter__())
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    holder.kill()
    waiting.join(5)
    assert not waiting.is_alive()
    holder.join()


def test_waiting_workers_do_not_poll_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker reads the trials as often as a single worker does, however slowly trials are created."""
    job = set_up_sweep(grid(seeds=3), tmp_path / "out")
    reads, claims = [], []
    usual_ask, usual_read = optuna.Study.ask, optuna.Study.get_trials

    def ask(self: optuna.Study, *arguments: Any, **named: Any) -> optuna.Trial:
        time.sleep(0.1)
        return usual_ask(self, *arguments, **named)

    def read(self: optuna.Study, *arguments: Any, **named: Any) -> Any:
        reads.append(None)
        return usual_read(self, *arguments, **named)

    studies = [open_study(job) for _ in range(6)]
    monkeypatch.setattr(optuna.Study, "ask", ask)
    monkeypatch.setattr(optuna.Study, "get_trials", read)
    workers = [threading.Thread(target=lambda study=study: claims.append(claim(job, study))) for study in studies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(claimed.trial.number for claimed in claims) == list(range(6))
    assert len(reads) <= 3 * 6
    for claimed in claims:
        claimed.lease.release()


def test_a_held_lease_has_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "BEAT_SECONDS", 0.01)
    lease = Leases(tmp_path).take(0)
    assert lease is not None
    os.utime(tmp_path / "000000", (0, 0))
    time.sleep(0.3)
    assert (tmp_path / "000000").stat().st_mtime > time.time() - 10
    lease.release()


def test_a_file_system_without_locks_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Leases(tmp_path).check()
    monkeypatch.setattr(leases_module.fcntl, "flock", lambda *_: None)
    with pytest.raises(lab.LabError, match="has no locks"):
        Leases(tmp_path).check()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a PostgreSQL server."""
    if postgres.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgres.server() as url:
        yield url


@pytest.mark.slow
@pytest.mark.process
def test_four_workers_on_a_database_share_trials(server: str, tmp_path: Path) -> None:
    job = set_up_sweep(grid(SHORT, **TWELVE), tmp_path / "out", server)
    names = sorted(name for name, _ in train_twelve_by_four(job, tmp_path / "log"))
    assert names == sorted(f"n{n}-seed{seed}" for n in (1, 2, 3) for seed in range(4))
    study = open_study(job)
    assert [trial.number for trial in study.trials] == list(range(12))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert collect(job).sentence() == "12 runs of 3 configurations: 12 finished"
    assert not job.place.journal.exists()


@pytest.mark.process
def test_a_worker_killed_on_a_database_is_replaced(server: str, tmp_path: Path) -> None:
    description = search({"steps": 30, "evaluation.measures.induction": 0}, name="killed", budget={"trials": 3})
    job = set_up_sweep(description, tmp_path / "out", server)
    process = fork(lambda: run_worker(job))
    study = open_study(job)
    while len(study.trials) < 2:
        time.sleep(0.02)
    process.kill()
    process.join()
    run_worker(job)
    whole = set_up_sweep(description, tmp_path / "whole")
    run_worker(whole)
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
    found, expected = study.trials, open_study(whole).trials
    assert [(trial.params, trial.values) for trial in found] == [(trial.params, trial.values) for trial in expected]


@pytest.mark.process
def test_a_database_with_another_study_is_rejected(server: str, tmp_path: Path) -> None:
    set_up_sweep(grid(name="mine"), tmp_path / "one", server)
    with pytest.raises(lab.LabError, match="holds a study 'mine' with other settings"):
        set_up_sweep(grid(name="mine", seeds=3), tmp_path / "two", server)
    assert not (tmp_path / "two").exists()
