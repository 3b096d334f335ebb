"""Workers as processes: started, lost and replaced, stopped."""

import multiprocessing as mp
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from rich.console import Console

import lab
from lab.runs.lock import Busy, Lock
from lab.sweeping import look
from lab.sweeping.results import collect
from lab.sweeping.study.study import open_study, plan_retries
from lab.sweeping.workers import local, process
from lab.sweeping.workers.local import run_local
from lab.sweeping.workers.progress import SweepProgress
from lab.sweeping.workers.settings import Demand, Workers
from tests.helpers.sweeps import CRASHING, SHORT, grid, numbers, run_worker, set_up_sweep, train_sweep

pytestmark = pytest.mark.process


def server_of(pid: int) -> int:
    """Return the process that starts the workers of a sweep."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes())


def blocked_signals(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:"))
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


def test_a_lost_worker_is_replaced_and_changes_no_number(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    description = grid({"steps": 40, "evaluation.every": 20, "evaluation.measures.induction": 0})
    job = set_up_sweep(description, tmp_path / "out")
    kinds, hit = [signal.SIGKILL, signal.SIGTERM], list[int]()

    class Killing(SweepProgress):
        def update(self, update: Any) -> None:
            super().update(update)
            if update.step == 20 and kinds:
                hit.append(next(child.pid for child in mp.active_children() if child.pid not in hit))
                os.kill(hit[-1], kinds.pop())

    with Killing(Console(), 4) as progress:
        run_local(job, 2, (), progress)
    found = collect(job)
    out = capfd.readouterr().out
    assert "was lost (SIGKILL); another one takes its place" in out
    assert "was stopped (SIGTERM); another one takes its place" in out
    assert found.sentence() == "4 runs of 2 configurations: 4 finished"
    train_sweep(description, tmp_path / "whole")
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")


def test_ctrl_c_saves_every_run(tmp_path: Path) -> None:
    description = grid({"steps": 4000, "evaluation.every": 200}, seeds=1)
    job = set_up_sweep(description, tmp_path / "out")

    class Pressing(SweepProgress):
        def update(self, update: Any) -> None:
            if update.step >= 200:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(job, 2, (), Pressing(Console(quiet=True), 2))
    assert not mp.active_children()
    states = {path.name: lab.Run(path).state for path in (tmp_path / "out").glob("n*")}
    assert set(states.values()) == {"stopped"}, "each run has saved where it stopped"
    assert look(description, tmp_path / "out").sentence() == "2 runs of 2 configurations: 2 stopped"
    for path in (tmp_path / "out").glob("n*"):
        assert 0 < int(next(path.glob("checkpoint-*")).name.removeprefix("checkpoint-")) < 4000


def test_a_signal_to_all_processes_saves_every_run(tmp_path: Path) -> None:
    """A batch system, `timeout` or a closing terminal sends it to every process, the server of the workers included."""
    description = grid({"steps": 10**6, "evaluation.every": 20, "checkpoint.seconds": 1000.0}, seeds=1)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(description))
    words = [sys.executable, "-m", "lab", "sweep", "s.yaml", "--workers", "2", "--out", "out"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    out = tmp_path / "out"
    tables = [out / f"n{n}-seed0/metrics.csv" for n in (1, 2)]
    while not all(path.is_file() and "\n20," in path.read_text() for path in tables):
        assert process.poll() is None
        time.sleep(0.05)
    assert signal.SIGTERM in blocked_signals(server_of(process.pid)), "it must outlive the workers, whose end it reports"
    os.killpg(process.pid, signal.SIGTERM)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (143, "lab: stopped; run the same command again to continue\n")
    assert look(description, out).sentence() == "2 runs of 2 configurations: 2 stopped"
    assert all(run.checkpoint() for run in lab.open_runs([out]))


def test_a_run_locked_by_another_program_ends_the_sweep(tmp_path: Path) -> None:
    job = set_up_sweep(grid(SHORT, seeds=1), tmp_path)
    run_worker(job)
    run = tmp_path / "n1-seed0"
    shutil.copytree(run, tmp_path / "copy")
    shutil.rmtree(run)
    plan_retries(job, open_study(job), retry_failed=False)
    (tmp_path / "copy").rename(run)
    (run / "run.json").write_text((run / "run.json").read_text().replace('"finished"', '"running"'))
    lock = Lock(run)
    record = (run / "run.json").read_bytes()
    with pytest.raises(Busy, match="n1-seed0: another process trains this run"):
        run_worker(job)
    assert (run / "run.json").read_bytes() == record
    lock.release()
    run_worker(job)
    assert collect(job).sentence() == "2 runs of 2 configurations: 2 finished"


def test_a_crashing_worker_fails_its_run_alone(tmp_path: Path) -> None:
    tasks = {"fine": {"task.crashes": False}, "crash": {"task.crashes": True}}
    found = lab.sweep(grid() | {"base": CRASHING | SHORT, "grid": {"arm": tasks}, "seeds": 1}, tmp_path, workers=1)
    assert found.runs.set_index("run")["state"].to_dict() == {"fine-seed0": "finished", "crash-seed0": "failed"}
    assert found.missing() == ["crash-seed0: failed: its worker crashed (SIGSEGV)"]


def test_the_kernels_count_identifies_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_OOM_KILLS", tmp_path / "vmstat")
    assert local.count_oom_kills() == 0, "the system has no such counter"
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 3\n")
    assert local.loss_cause(signal.SIGKILL, 2) == "out of memory: the kernel killed its worker"
    assert local.loss_cause(signal.SIGKILL, 3) == ""
    assert local.loss_cause(signal.SIGTERM, 3) == ""


@pytest.mark.parametrize("name", ["script.py", "<stdin>"])
def test_workers_never_run_the_script_that_starts_them(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script has no `if __name__ == "__main__"`, or comes from standard input, where no worker could find it."""
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / name)
    (tmp_path / "script.py").write_text(f"open({str(tmp_path / 'again')!r}, 'w')")
    monkeypatch.setitem(sys.modules, "__main__", script)
    found = lab.sweep(grid(SHORT, grid={"n_future": [1]}, seeds=1), tmp_path / "out", workers=1)
    assert found.sentence() == "1 runs of 1 configurations: 1 finished"
    assert not (tmp_path / "again").exists()
    assert sys.modules["__main__"] is script


def test_a_long_temporary_folder_is_replaced_by_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))
    with process.short_temporary_folder():
        assert tempfile.gettempdir() == "/tmp"
    assert tempfile.gettempdir() == str(tmp_path / ("t" * 100))


def test_the_number_of_workers_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert Workers().count_here(Demand(1, False)) == 8
    assert Workers().count_here(Demand(3, False)) == 2
    assert Workers().count_here(Demand(16, False)) == 1
    assert Workers(per_device=2).count_here(Demand(1, True, (0, 1, 2))) == 6
    assert Workers(5, per_device=2).count_here(Demand(1, True, (0, 1, 2))) == 5


def test_each_worker_has_its_own_threads_and_device(tmp_path: Path) -> None:
    """A task logs the threads and the device that the process of its worker sees."""
    base = CRASHING | SHORT | {"task.log": str(tmp_path / "seen")}
    job = set_up_sweep(grid() | {"base": base}, tmp_path / "out")
    run_local(job, 2, (3, 5), SweepProgress(Console(quiet=True), None))
    seen = {tuple(line.split()) for line in (tmp_path / "seen").read_text().splitlines()}
    assert {threads for threads, _ in seen} == {"1"}
    assert {device for _, device in seen} <= {"3", "5"}
