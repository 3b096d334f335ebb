"""Train several runs: one after the other, or as ensembles."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TypeVar

import torch

from lab.config import Experiment, resolve
from lab.errors import Diverged, Occupied, check_count
from lab.runs.checkpoint import check_checkpoint
from lab.runs.layout import checkpoint_name, checkpoint_step, checkpoints
from lab.runs.run import Run
from lab.runs.writer import Recorder
from lab.training.ensemble import EnsembleIO, EnsembleModule, check_ensemble, check_stackable
from lab.training.fit import check_ready, fit, resume, train
from lab.training.launch import isolated_training
from lab.training.loggers import check_loggers, logger_record
from lab.training.progress import Progress, default_progress

ProgressFactory = Callable[[Experiment], Progress]
Runs = Mapping[Path, Experiment] | Mapping[str, Experiment]
"""Experiments by the folder of each run."""
Member = TypeVar("Member")

_ENDED = ("finished", "diverged")
"""States of runs that `train_each` and `train_ensemble` do not resume; `resume` does resume a diverged run."""

CPU_STATES = 2**20
"""Size of the hidden states of all members, sequences x T x d, up to which a CPU trains them as one ensemble: larger ones
do not fit its cache (twice the size is 1 % slower) and fill a laptop's memory."""


def train_each(experiments: Runs, *, progress: ProgressFactory = default_progress, loggers: Sequence[str] = ()) -> list[Run]:
    """Train runs one after the other; resume those that have begun.

    Args:
        experiments: By the folder of each run. Finished and diverged runs stay as they are.
        progress: Makes the progress of each run; by default a notebook shows it, a script nothing.
        loggers: As of `train`, of each new run.

    Raises:
        LabError: If a folder holds something else than the run of its experiment, or a logger is unknown or not installed.
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything saved.
        Diverged: If runs have diverged, now or before, after all others.
    """
    runs = {Path(path): resolve(experiment) for path, experiment in experiments.items()}
    existing = _existing_runs(runs)
    check_loggers(loggers)
    for path in _left(runs, existing):  # all before the first trains
        check_ready(runs[path])
    for path, experiment in runs.items():
        with suppress(Diverged):
            if not path.exists():
                train(experiment, path, progress=progress(experiment), loggers=loggers)
            elif Run(path).state not in _ENDED:
                resume(path, progress=progress(experiment))
    return _all_finished(runs)


def train_ensemble(
    experiments: Runs, *, size: int | None = None, progress: ProgressFactory = default_progress, loggers: Sequence[str] = ()
) -> list[Run]:
    """Train runs that differ only in the seed and the number of prediction heads as ensembles; resume those that have begun.

    Different numbers of heads need networks of one shape: `model.matched: parameters`, and parallel or causal heads.

    Args:
        experiments: By the folder of each run. Finished and diverged runs stay as they are; others resume from the newest step
            at which all have a checkpoint, or without such a step, in groups whose newest checkpoints are of one step.
        size: Runs in one ensemble; by default `default_ensemble_size`.
        progress: Makes the progress of each ensemble; by default a notebook shows it, a script nothing.
        loggers: As of `train`, of each new run.

    Raises:
        LabError: If the experiments cannot train as an ensemble, size is below 1, a folder holds something else, or a logger
            is unknown or not installed.
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything saved.
        Diverged: If runs have diverged, now or before, after all others.
    """
    runs = {Path(path): resolve(experiment) for path, experiment in experiments.items()}
    check_ensemble(list(runs.values()))
    size = default_ensemble_size(next(iter(runs.values()))) if size is None else check_count("size", size)
    existing, chosen, together = _existing_runs(runs), check_loggers(loggers), groups(list(runs), size)
    for paths in together:  # all before the first trains
        check_stackable([runs[path] for path in paths])
    for paths in together:
        for group in _group_by_checkpoint(_left(paths, existing)):
            with suppress(Diverged):
                _train_group({path: runs[path] for path in group}, existing, progress(runs[group[0]]), chosen)
    return _all_finished(runs)


def _left(paths: Iterable[Path], existing: Mapping[Path, Run]) -> list[Path]:
    """Return the folders whose runs have not begun or not ended."""
    return [path for path in paths if path not in existing or existing[path].state not in _ENDED]


def _all_finished(paths: Iterable[Path]) -> list[Run]:
    """Return the runs in some folders.

    Raises:
        Diverged: If some have diverged.
    """
    runs = [Run(path) for path in paths]
    diverged = {run.path: int(run.record["diverged_step"]) for run in runs if run.state == "diverged"}
    if diverged:
        raise Diverged(diverged)
    return runs


def default_ensemble_size(experiment: Experiment) -> int:
    """Return the number of runs that this machine trains as one ensemble: all on a GPU, as many as fit the cache on a CPU."""
    if experiment.accelerator != "cpu" and (torch.cuda.is_available() or torch.backends.mps.is_available()):
        return sys.maxsize
    sequences = experiment.batch_size // experiment.grad_accum_steps
    return max(1, CPU_STATES // (sequences * experiment.task.length * experiment.model.width))


def groups(members: Sequence[Member], size: int) -> list[Sequence[Member]]:
    """Split members in order into as few groups as possible, of about equal size."""
    count = -(-len(members) // size)
    return [members[len(members) * i // count : len(members) * (i + 1) // count] for i in range(count)]


def _train_group(
    experiments: Mapping[Path, Experiment], existing: Mapping[Path, Run], progress: Progress, loggers: Sequence[str]
) -> None:
    """Train or resume one ensemble."""
    first = next(iter(experiments.values()))
    check_ready(first)
    paths = list(experiments)
    with ExitStack() as stack:
        reopened = {path: stack.enter_context(closing(Recorder.reopen(path))) for path in paths if path in existing}
        step = common_checkpoint(paths)
        if step >= 0:
            for path in paths:
                check_checkpoint(path / checkpoint_name(step))
        stack.enter_context(isolated_training(first))
        module = EnsembleModule(list(experiments.values()))
        recorders = []
        for path, experiment in experiments.items():
            if path in existing:
                reopened[path].rewind(step)
                recorders.append(reopened[path])
            else:
                recorders.append(stack.enter_context(closing(Recorder.create(path, experiment, logger_record(loggers)))))
        checkpoint = None if step < 0 else paths[0] / checkpoint_name(step)
        fit(module, recorders, progress, checkpoint, EnsembleIO(module, paths))


def _group_by_checkpoint(paths: Sequence[Path]) -> list[list[Path]]:
    """Group runs that can resume as one ensemble: all, or those with the same newest step if all would lose their progress."""
    by_step: dict[int, list[Path]] = {}
    shared = common_checkpoint(paths) if paths else -1
    for path in paths:
        by_step.setdefault(shared if shared >= 0 else common_checkpoint([path]), []).append(path)
    return list(by_step.values())


def common_checkpoint(run_paths: Sequence[Path]) -> int:
    """Return the newest step at which every run has a checkpoint; -1 if there is none."""
    steps = [{checkpoint_step(path) for path in checkpoints(run_path)} for run_path in run_paths]
    return max(set.intersection(*steps), default=-1)


def _existing_runs(experiments: Mapping[Path, Experiment]) -> dict[Path, Run]:
    """Open the runs that exist already.

    Raises:
        LabError: If one is of another experiment, or its settings or the files of its task have changed.
    """
    existing = {path: Run(path) for path in experiments if path.exists()}
    for path, run in existing.items():
        if run.experiment != experiments[path]:
            raise Occupied(f"{path}: holds a run of another experiment")
        run.check_unedited()
        run.check_data()
    return existing
