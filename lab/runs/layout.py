"""The layout of a run's folder: names of its files, its checkpoints, and files that a kill can leave.

experiment.yaml     every setting
run.json            state, versions, git commit, host, seed, parameters, wall time
metrics.csv         step, tokens, scored_tokens, metric, value
timing.csv          step, seconds, tokens_per_second
model.safetensors   the trained weights
weights-<step>.safetensors  the weights at a step, where checkpoint.keep asks for them
checkpoint-<step>/  until the run finishes: everything it needs to resume
.lock               empty; locked by the process that trains the run
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.config import Experiment
from lab.runs.files import read_json

FORMAT = 1
"""Version of the layout; a reader rejects others."""
EXPERIMENT = "experiment.yaml"
RECORD = "run.json"
METRICS = "metrics.csv"
TIMING = "timing.csv"
WEIGHTS = "model.safetensors"
STATE, TENSORS = "state.json", "state.safetensors"
"""The files of a checkpoint."""
_LISTED = 20
"""Steps that a message lists."""
_LEFTOVER = re.compile(
    r"\.checkpoint-[0-9]{8,}(\.[0-9a-f]{8}\.partial)?|\.(run\.json|.*\.csv|(model|weights-[0-9]{8,})\.safetensors)"
    r"\.[0-9a-f]{8}\.partial"
)
"""Names of files that a kill during writing or removing leaves in a run's folder."""


def default_path(experiment: Experiment) -> Path:
    """Return the folder of a new run for which the caller names none."""
    return Path("runs") / f"{experiment.task.name}-n{experiment.n_future}-seed{experiment.seed}-{experiment.fingerprint[:8]}"


def is_run(path: Path) -> bool:
    """Return whether a folder holds a run."""
    return (path / RECORD).is_file()


def checkpoint_name(step: int) -> str:
    """Return the name of a checkpoint's folder."""
    return f"checkpoint-{step:08d}"


def checkpoint_step(path: Path) -> int:
    """Return the optimiser step of a checkpoint's folder."""
    return int(path.name.removeprefix("checkpoint-"))


def checkpoints(path: Path) -> list[Path]:
    """List the checkpoints in a run's folder by name and content; folders of others are left out."""
    return [
        folder
        for folder in path.glob("checkpoint-*")
        if re.fullmatch(r"checkpoint-[0-9]{8,}", folder.name) and any((folder / name).is_file() for name in (STATE, TENSORS))
    ]


def newest_checkpoint(path: Path) -> Path | None:
    """Return the newest checkpoint in a run's folder, None if there is none."""
    return max(checkpoints(path), key=checkpoint_step, default=None)


def kept_name(step: int) -> str:
    """Return the name of the file with the weights that are kept of a step."""
    return f"weights-{step:08d}.safetensors"


def kept_weights(path: Path) -> dict[int, Path]:
    """Return the files of weights that are kept in a run's folder, by step; other files are left out."""
    files = sorted(path.glob("weights-*.safetensors"))
    return {int(match[1]): file for file in files if (match := re.fullmatch(r"weights-([0-9]{8,})\.safetensors", file.name))}


def weights_by_step(path: Path, steps: int) -> dict[int, Path]:
    """Return the file with the weights at each step that a run's folder has, sorted by step.

    They are the kept weights, then the trained weights or, before the run has finished, those in its newest checkpoint.

    Args:
        path: The run's folder.
        steps: Optimiser steps of the whole run.
    """
    files = kept_weights(path)
    if (path / WEIGHTS).is_file():
        files[int(read_json(path / RECORD).get("last_step", steps))] = path / WEIGHTS
    elif newest := newest_checkpoint(path):
        files[checkpoint_step(newest)] = newest / TENSORS
    return dict(sorted(files.items()))


def list_steps(steps: Sequence[int]) -> str:
    """List steps for a message, without the middle where they are many."""
    some = [*steps] if len(steps) <= _LISTED else [*steps[: _LISTED - 1], "...", steps[-1]]
    return ", ".join(map(str, some))


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, unless its folder holds files of others."""
    if {each.name for each in path.iterdir()} <= {STATE, TENSORS}:
        doomed = path.with_name(f".{path.name}")
        shutil.rmtree(doomed, ignore_errors=True)
        path.replace(doomed)  # rename first: a kill cannot leave a half-deleted checkpoint under its real name
        shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove the files that a kill during writing or removing left in a run's folder."""
    for each in path.iterdir():
        if _LEFTOVER.fullmatch(each.name) and each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        elif _LEFTOVER.fullmatch(each.name):
            each.unlink(missing_ok=True)
