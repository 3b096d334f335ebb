"""kill -9 of workers, of the parent or of all processes, at any moment: no run is lost or repeated; no number changes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from lab.sweeping.results import collect
from lab.sweeping.spec import spaces
from lab.sweeping.study import claims
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study
from lab.sweeping.workers import worker
from tests.helpers.killing import die
from tests.helpers.sweeps import (
    SHORT,
    TWELVE,
    fork,
    grid,
    numbers,
    run_worker,
    search,
    set_up_sweep,
    train_sweep,
    train_twelve_by_four,
    trials,
)


def when_the_lease_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "ask", die)


def when_the_trial_is_created(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims.Claim, "__init__", die)


def between_two_parameters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spaces.Choices, "suggest", die)  # the second axis


def within_a_run(patch: pytest.MonkeyPatch) -> None:
    usual = worker.Watch.measured
    patch.setattr(worker.Watch, "measured", lambda self, step, values: die() if step == 3 else usual(self, step, values))


def before_the_outcome_is_reported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "finish", die)


def while_the_outcome_is_reported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(optuna.Study, "tell", die)


KILLS: list[Callable[[pytest.MonkeyPatch], None]] = [
    when_the_lease_is_taken,
    when_the_trial_is_created,
    between_two_parameters,
    within_a_run,
    before_the_outcome_is_reported,
    while_the_outcome_is_reported,
]


pytestmark = pytest.mark.process


def work_until_killed(job: Job, kill: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Run a worker that kills itself in its second trial."""

    def child() -> None:
        usual = claims.claim

        def claim(*arguments: Any) -> Any:
            if any(trial.state.is_finished() for trial in arguments[1].trials):
                kill(pytest.MonkeyPatch())
            return usual(*arguments)

        pytest.MonkeyPatch().setattr(worker, "claim", claim)
        run_worker(job)

    process = fork(child)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Any]:
    """Train the search of these tests without a kill."""
    job = train_sweep(two_axes(), tmp_path_factory.mktemp("whole"))
    return numbers(job.place.runs), trials(job)


def two_axes() -> dict[str, Any]:
    space = {
        "optimiser.peak_lr": {"kind": "log", "low": 1e-4, "high": 1e-1},
        "model.mlp": {"kind": "categorical", "choices": ["swiglu", "gelu"]},
    }
    base = {"steps": 6, "evaluation.measures.induction": 0}
    return search(base, search=space, budget={"trials": 3}, sampler={"kind": "tpe", "startup_trials": 1})


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.__name__)
def test_a_worker_killed_anywhere_changes_nothing(kill: Any, whole: tuple[dict[str, str], Any], tmp_path: Path) -> None:
    job = set_up_sweep(two_axes(), tmp_path)
    work_until_killed(job, kill)
    ended = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    assert 1 <= len(ended) <= 2
    run_worker(job)
    assert (numbers(tmp_path), trials(job)) == whole
    assert {path: path.stat().st_mtime_ns for path in ended} == ended, "a finished run was repeated"


@pytest.mark.slow
def test_repeated_kills_lose_and_repeat_no_run(tmp_path: Path) -> None:
    moments = random.Random(0)
    description = grid({"steps": 16, "evaluation.every": 4}, seeds=3)
    job = set_up_sweep(description, tmp_path / "killed")
    workers = [fork(lambda: run_worker(job)) for _ in range(2)]
    kills = 0
    while kills < 6 and sum(trial.state.is_finished() for trial in open_study(job).trials) < 6:
        time.sleep(moments.random())
        index = moments.randrange(2)
        workers[index].kill()
        workers[index].join()
        kills += 1
        workers[index] = fork(lambda: run_worker(job))
    for process in workers:
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    assert kills >= 3
    whole = train_sweep(description, tmp_path / "whole")
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    assert trials(job) == trials(whole)


@pytest.mark.slow
def test_four_workers_train_each_run_once(tmp_path: Path) -> None:
    job = set_up_sweep(grid(SHORT, **TWELVE), tmp_path)
    begun_runs = train_twelve_by_four(job, tmp_path / "log")
    assert len(begun_runs) == len({name for name, _ in begun_runs}) == 12
    assert len({pid for _, pid in begun_runs}) > 1
    assert collect(job).sentence() == "12 runs of 3 configurations: 12 finished"


def find_workers(pid: int) -> list[int]:
    """Return the worker processes of a sweep: those in its session that lead their own process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        state, session, group = fields[0], int(fields[3]), int(fields[2])
        if session == pid and group == int(path.name) != pid and state != "Z":
            found.append(group)
    return found


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    moments = random.Random(1)
    description = grid({"steps": 300, "evaluation.every": 5}, grid={"n_future": [1, 2, 3]}, seeds=4)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(description))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "lab", "sweep", "tiny.yaml", "--workers", "2", "--out", str(out)]
    kills = dict.fromkeys(("worker", "workers", "parent", "everything"), 0)
    while sum(kills.values()) < 20:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
        for kind in moments.sample(list(kills), 4):
            time.sleep(1 + moments.random() * 12)
            workers = find_workers(process.pid)
            parent = [process.pid] if kind in ("parent", "everything") else []
            victims = {"worker": workers[:1], "workers": workers, "parent": [], "everything": workers}[kind] + parent
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            kills[kind] += bool(victims)
            if parent:
                break
        process.wait()
    assert sum(kills.values()) >= 20, kills
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    whole = train_sweep(description, tmp_path / "whole")
    assert numbers(out) == numbers(tmp_path / "whole")
    assert trials(set_up_sweep(description, out)) == trials(whole)
