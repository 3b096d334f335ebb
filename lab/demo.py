"""The main job in about two minutes: next-token against multi-token models learn induction, paired over seeds.

Every number comes from runs that are trained while one waits; the sentence at the end is made from them, whatever they say.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lab.config import Experiment, experiment, resolve
from lab.errors import LabError
from lab.runs import Run

if TYPE_CHECKING:
    from lab.training.progress import Progress as RunProgress

TASK = "induction"
SETTINGS: dict[str, Any] = {
    "task.length": 32,
    "task.period": [4, 12],
    "task.test_period": [14, 16],
    "steps": 500,
    "optimiser.peak_lr": 6e-3,
    "schedule.warmup_steps": 30,
    "evaluation.every": 20,
    "evaluation.examples": 64,
}
"""Short rows, in which copying emerges within seconds; docs/experiments.md says how this was chosen."""


@dataclass(frozen=True)
class Update:
    """What a worker tells of its run.

    Attributes:
        run: Name of the run.
        step: Optimiser steps done.
        text: The last evaluation in words; empty between evaluations.
    """

    run: str
    step: int
    text: str = ""


def plan(n_futures: tuple[int, ...], seeds: int, settings: Mapping[str, Any] | None = None) -> dict[str, Experiment]:
    """The demo's experiments by the name of their run, seed by seed, so that pairs are complete as early as possible."""
    chosen = {**SETTINGS, **(settings or {})}
    return {
        f"n{n}-seed{seed}": resolve(experiment(TASK, {**chosen, "n_future": n, "seed": seed}))
        for seed in range(seeds)
        for n in n_futures
    }


def train_all(experiments: Mapping[str, Experiment], out: Path, workers: int, console: Console) -> list[Run]:
    """Train experiments in parallel, one process and one thread each.

    Args:
        experiments: By the name of their run.
        out: Folder of the runs; finished runs of the same experiment that lie there are taken as they are.
        workers: Processes at a time.
        console: Where progress is shown: live in a terminal, else a line for each evaluation.

    Returns:
        The runs, in the order of the experiments.

    Raises:
        LabError: If a run fails, or something else lies where it should be.
    """
    todo = {name: each for name, each in experiments.items() if not _finished(out / name, each)}
    context = mp.get_context("spawn")
    with context.Manager() as manager:
        updates = manager.Queue()
        with ProcessPoolExecutor(min(workers, max(len(todo), 1)), mp_context=context) as pool:
            futures = [pool.submit(_work, each, out / name, updates) for name, each in todo.items()]
            try:
                _follow(futures, todo, updates, console)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [Run(out / name) for name in experiments]


def _finished(path: Path, wanted: Experiment) -> bool:
    if not path.exists():
        return False
    run = Run(path)
    if run.experiment != wanted:
        raise LabError(f"{path}: holds a run of another experiment; choose another --out")
    return run.state == "finished"


def _work(wanted: Experiment, path: Path, updates: Any) -> None:
    """In a worker: train one experiment, or go on with it."""
    from lab.training import resume, train

    progress = _teller(wanted, path.name, updates)
    if path.exists():
        resume(path, progress=progress)
    else:
        train(wanted, path, progress=progress)


def _teller(wanted: Experiment, name: str, updates: Any) -> RunProgress:
    from lab.training.progress import Progress as RunProgress

    class Teller(RunProgress):
        """Sends a run's progress to the parent, some times a second."""

        told = 0.0

        def advance(self, step: int) -> None:
            if time.monotonic() - self.told > 0.3:
                self.told = time.monotonic()
                updates.put(Update(name, step))

        def measured(self, step: int, values: Mapping[str, float]) -> None:
            updates.put(Update(name, step, self.summary(step, values)))

    return Teller(wanted)


def _follow(futures: list[Future[None]], todo: Mapping[str, Experiment], updates: Any, console: Console) -> None:
    """Show progress until all runs are done; the first failure is raised."""
    steps = sum(each.steps for each in todo.values())
    done = dict.fromkeys(todo, 0)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"training {len(todo)} models, steps", total=steps)
        while not all(future.done() for future in futures) or not updates.empty():
            for future in futures:
                if future.done():
                    future.result()
            try:
                update = updates.get(timeout=0.2)
            except queue.Empty:
                continue
            done[update.run] = max(done[update.run], update.step)
            bar.update(task, completed=sum(done.values()))
            if update.text:
                share = f"{100 * sum(done.values()) / max(steps, 1):3.0f} %  "
                bar.console.out(f"{share}{update.run:<10} step {update.step:>4}  {update.text}", highlight=False)
    for future in futures:
        future.result()


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
