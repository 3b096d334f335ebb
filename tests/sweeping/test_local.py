"""Workers as processes: started, lost and replaced, stopped, blamed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.sweeping import local
from lab.sweeping.engine import prepare, run
from lab.sweeping.follow import Follow
from lab.sweeping.local import run_local
from lab.sweeping.study import Job
from tests.sweeping.tiny import begun, numbers, told

Make = Callable[..., dict[str, Any]]


def test_a_lost_worker_is_replaced_and_the_sweep_ends_as_if_it_had_not_been(
    grid: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    description = grid({"steps": 40, "evaluation.every": 20}, seeds=3)
    prepared = prepare(description, tmp_path / "out")
    lost: list[int] = []

    class Killing(Follow):
        def __call__(self, update: Any) -> None:
            super().__call__(update)
            if update.step == 20 and not lost:
                lost.extend(process.pid for process in local.mp.active_children()[:1])
                os.kill(lost[0], signal.SIGKILL)

    def engine(job: Job, _: Follow) -> None:
        with Killing(Console(), 6) as follow:
            run_local(job, 2, [], follow)

    found = run(prepared, engine, Console(quiet=True))
    assert len(lost) == 1
    assert "was lost (SIGKILL); another one takes its place" in capfd.readouterr().out
    assert found.sentence() == "6 runs of 2 cells: 6 finished"
    told(begun(description, tmp_path / "whole"))
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
