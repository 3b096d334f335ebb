"""kill -9 of workers, parents and everything, at any moment: no run is lost, none done twice, nothing comes out different."""

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
from lab.sweeping.study import claims
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study
from lab.sweeping.workers import worker
from tests.sweeping.tiny import SHORT, TWELVE, begun, in_a_child, numbers, told, twelve_runs_by_four

Make = Callable[..., dict[str, Any]]


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def when_the_lease_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "ask", die)


def when_the_trial_is_made(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims.Claim, "__init__", die)


def between_two_parameters(patch: pytest.MonkeyPatch) -> None:
    usual, calls = optuna.Trial._suggest, []

    def suggest(self: optuna.Trial, *arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:
            die()
        return usual(self, *arguments)

    patch.setattr(optuna.Trial, "_suggest", suggest)


def in_the_middle_of_a_run(patch: pytest.MonkeyPatch) -> None:
    usual = worker.Watch.measured
    patch.setattr(worker.Watch, "measured", lambda self, step, values: die() if step == 6 else usual(self, step, values))


def when_the_run_is_finished_and_nobody_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "finish", die)


def when_half_is_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(optuna.Study, "tell", die)


KILLS = [
    when_the_lease_is_taken, when_the_trial_is_made, between_two_parameters, in_the_middle_of_a_run,
    when_the_run_is_finished_and_nobody_told, when_half_is_told,
]  # fmt: skip


def work_until(job: Job, kill: Callable[[pytest.MonkeyPatch], None]) -> None:
    """A worker that kills itself in its second trial."""

    def child() -> None:
        usual = claims.claim

        def claim(*arguments: Any) -> Any:
            if any(trial.state.is_finished() for trial in arguments[1].trials):
                kill(pytest.MonkeyPatch())
            return usual(*arguments)

        pytest.MonkeyPatch().setattr(worker, "claim", claim)
        told(job)

    process = in_a_child(child)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def table(job: Job) -> Any:
    return [(trial.number, trial.state, trial.params, trial.values) for trial in open_study(job).trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Any]:
    """The search of these tests, never stopped."""
    job = begun(described(), tmp_path_factory.mktemp("whole"))
    told(job)
    return numbers(job.place.runs), table(job)


def described() -> dict[str, Any]:
    from tests.sweeping.tiny import BASE

    space = {"optimiser.peak_lr": {"kind": "log", "low": 1e-4, "high": 1e-1},
             "model.mlp": {"kind": "categorical", "choices": ["swiglu", "gelu"]}}  # fmt: skip
    sampler = {"kind": "tpe", "startup_trials": 1}
    metrics = {"loss/all/1": "minimise"}
    return {"name": "tiny", "base": BASE, "search": space, "budget": {"trials": 3}, "sampler": sampler, "metrics": metrics}


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.__name__)
def test_a_worker_killed_anywhere_changes_nothing(kill: Any, whole: tuple[dict[str, bytes], Any], tmp_path: Path) -> None:
    job = begun(described(), tmp_path)
    work_until(job, kill)
    ended = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    assert 1 <= len(ended) <= 2
    told(job)
    assert (numbers(tmp_path), table(job)) == whole
    assert ended.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}.items(), (
        "a finished run was done again"
    )


def test_workers_that_are_killed_again_and_again_lose_and_double_nothing(grid: Make, tmp_path: Path) -> None:
    moments = random.Random(0)
    description = grid({"steps": 16, "evaluation.every": 4}, seeds=3)
    job = begun(description, tmp_path / "killed")
    workers = [in_a_child(lambda: told(job)) for _ in range(2)]
    kills = 0
    while kills < 6 and sum(trial.state.is_finished() for trial in open_study(job).trials) < 6:
        time.sleep(moments.random())
        place = moments.randrange(2)
        workers[place].kill()
        workers[place].join()
        kills += 1
        workers[place] = in_a_child(lambda: told(job))
    for process in workers:
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    assert kills >= 3
    whole = begun(description, tmp_path / "whole")
    told(whole)
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    assert table(job) == table(whole)


def test_two_workers_never_have_the_same_trial(grid: Make, tmp_path: Path) -> None:
    """Four workers on twelve runs: each run is trained once, by one of them."""
    job = begun(grid(SHORT, **TWELVE), tmp_path)
    begun_runs = twelve_runs_by_four(job, tmp_path / "log")
    assert len(begun_runs) == len({name for name, _ in begun_runs}) == 12
    assert len({pid for _, pid in begun_runs}) > 1
    assert collect(job, open_study(job)).sentence() == "12 runs of 3 configurations: 12 finished"


def alive_below(pid: int) -> list[int]:
    """The worker processes of a sweep: those below its parent that lead their own process group."""
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
def test_twenty_kills_of_workers_of_all_and_of_the_parent_at_random_moments(grid: Make, tmp_path: Path) -> None:
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
            workers = alive_below(process.pid)
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
    whole = begun(description, tmp_path / "whole")
    told(whole)
    assert numbers(out) == numbers(tmp_path / "whole")
    assert table(begun(description, out)) == table(whole)
