"""Write a run's folder."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab.config import Experiment, dump
from lab.config.kinds import find_kind
from lab.errors import LabError, Occupied
from lab.objectives import describe_target
from lab.objectives.schedule import Stage, make_stages
from lab.runs import tables
from lab.runs.files import folder_atomic, write_json
from lab.runs.layout import (
    EXPERIMENT,
    FORMAT,
    METRICS,
    RECORD,
    TIMING,
    WEIGHTS,
    checkpoint_name,
    checkpoint_step,
    checkpoints,
    is_run,
    kept_weights,
    remove_checkpoint,
    remove_leftovers,
)
from lab.runs.lock import Lock
from lab.runs.outputs import check_place
from lab.runs.run import Run

_LIBRARIES = ("mtp-lab", "torch", "lightning", "numpy")


class Recorder:
    """Writes a run's folder, which `create` makes.

    Attributes:
        run_path: The folder.
        experiment: Its settings.
        lock: The run's lock, which `close` releases; None in a `NullRecorder`.
    """

    def __init__(self, run_path: Path, experiment: Experiment, record: dict[str, Any], lock: Lock | None = None) -> None:
        self.run_path, self.experiment, self.lock = run_path, experiment, lock
        self._record = record
        self._before = float(record.get("wall_seconds", 0.0))
        self._began = time.monotonic()

    @classmethod
    def create(cls, run_path: Path, experiment: Experiment, more: Mapping[str, Any] | None = None) -> Recorder:
        """Create a new run's folder.

        Args:
            run_path: The folder.
            experiment: Its settings.
            more: Further entries of its record.

        Raises:
            LabError: If the path exists already or cannot be written.
        """
        check_free(run_path)
        heads, text = range(1, experiment.n_future + 1), dump(experiment)
        record = {
            "format": FORMAT,
            "state": "running",
            "fingerprint": experiment.fingerprint,
            "experiment_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "data": experiment.task.fingerprint,
            "seed": experiment.seed,
            "predicts": {f"prediction head {i}": describe_target(experiment, i) for i in heads},
            **describe_extra(experiment),
            "sees": {f"prediction head {i}": find_kind(experiment.model.heads).describe_inputs(i) for i in heads},
            "objective": [describe_stage(stage) for stage in make_stages(experiment)],
            "non_embedding_parameters": experiment.non_embedding_parameters,
            "flops_per_step": experiment.flops_per_step,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
            "commit": git_commit(),
            "host": socket.gethostname(),
            "wall_seconds": 0.0,
            **(more or {}),
        }
        with folder_atomic(run_path) as partial:
            (partial / EXPERIMENT).write_text(text, encoding="utf-8", newline="")
            write_json(partial / RECORD, record)
            for name, content in experiment.task.artifacts().items():
                _write_artifact(partial, name, content)
            lock = Lock(partial)  # so that nobody takes the run before training has begun
        return cls(run_path, experiment, record, lock)

    @classmethod
    def reopen(cls, run_path: Path) -> Recorder:
        """Open a run's folder to resume it.

        Its wall time continues from the last one in its tables, since a kill leaves none in the record.

        Raises:
            LabError: If another process trains the run, it is finished, its experiment was changed, or its tables are damaged.
        """
        lock = Lock(run_path)
        try:
            run = Run(run_path)  # as the last process left it
            if run.record["state"] == "finished":
                raise LabError(f"{run_path}: is finished; nothing to resume")
            run.check_unedited()
            run.metrics()
            seconds = max([float(run.record["wall_seconds"]), *run.seconds().values()])
        except BaseException:
            lock.release()
            raise
        return cls(run_path, run.experiment, run.record | {"wall_seconds": seconds}, lock)

    def close(self) -> None:
        """Release the run's lock."""
        if self.lock is not None:
            self.lock.release()

    def set_state(self, state: str) -> None:
        """Record the run's state and the wall time so far."""
        for outdated in ("diverged_step", "error", "last_step", "reached"):
            self._record.pop(outdated, None)
        self._write({"state": state})

    def set_reached(self, step: int) -> None:
        """Record that the run finished at a step, before its last: it has reached what `evaluation.stop` names."""
        self._write({"state": "finished", "last_step": step, "reached": self.experiment.evaluation.stop.describe()})

    def set_diverged(self, step: int) -> None:
        """Record that a loss or gradient of a step, counted from 1, was not finite."""
        self._write({"state": "diverged", "diverged_step": step, "error": f"diverged at step {step}"})

    def record_metrics(self, step: int, tokens: int, scored_tokens: int, values: Mapping[str, float], speed: float) -> None:
        """Append an evaluation point to the run's tables.

        Args:
            step: Optimiser steps so far.
            tokens: Tokens seen so far.
            scored_tokens: Scored tokens seen so far.
            values: Metrics by name.
            speed: Tokens per second since the last evaluation point.
        """
        tables.append_metrics(self.run_path / METRICS, step, tokens, scored_tokens, values)
        tables.append(self.run_path / TIMING, tables.TIMING, [(step, f"{self.seconds():.3f}", f"{speed:.0f}")])

    def rewind(self, step: int) -> None:
        """Remove what the run wrote after a step (-1: everything), from which it resumes.

        The wall time is recorded first: a kill in between must not lose the seconds in the tables.
        """
        self.set_state("running")
        remove_leftovers(self.run_path)
        for checkpoint in checkpoints(self.run_path):  # before the tables: a kill must not leave one without its metrics
            if checkpoint_step(checkpoint) > step:
                remove_checkpoint(checkpoint)
        for kept, weights in kept_weights(self.run_path).items():
            if kept > step:
                weights.unlink()
        for table in (METRICS, TIMING):
            tables.keep_until(self.run_path / table, step)

    def _write(self, changed: dict[str, Any]) -> None:
        self._record |= changed | {"wall_seconds": round(self.seconds(), 3)}
        write_json(self.run_path / RECORD, self._record)

    def seconds(self) -> float:
        """Return the wall time of the run so far in seconds, over all resumptions."""
        return self._before + time.monotonic() - self._began

    def checkpoint_path(self, step: int) -> Path:
        """Return the folder of the checkpoint at a step."""
        return self.run_path / checkpoint_name(step)


class NullRecorder(Recorder):
    """The recorder of a process that writes nothing: every process that trains a run but the first."""

    def __init__(self, run_path: Path, experiment: Experiment) -> None:
        super().__init__(run_path, experiment, {})

    def record_metrics(self, *_: Any, **__: Any) -> None:
        """Write nothing."""

    def rewind(self, step: int) -> None:
        """Remove nothing."""

    def _write(self, changed: dict[str, Any]) -> None:
        """Write nothing."""


def check_free(run_path: Path) -> None:
    """Reject a path that exists already.

    Raises:
        LabError: Naming the path and the way out.
    """
    if is_run(run_path):
        state = Run(run_path).state
        hint = {"finished": "", "running": " (another process trains it)"}.get(state, f" (lab resume {run_path} continues it)")
        raise Occupied(f"{run_path}: a run is there already{hint}")
    if run_path.exists():
        raise Occupied(f"{run_path}: exists already and is no run")
    check_place(run_path)


def _write_artifact(folder: Path, name: str, text: str) -> None:
    """Write a task's file into the folder; reject names outside it and those of the run's own files."""
    own = (EXPERIMENT, RECORD, METRICS, TIMING, WEIGHTS)
    if Path(name).name != name or name in own or name.startswith((".", "checkpoint-", "weights-")):
        raise LabError(f"the task's artifact {name!r} must be a plain file name other than {', '.join(own)}")
    (folder / name).write_text(text, encoding="utf-8")


def git_commit() -> str | None:
    """Return the commit of this code, with a plus sign if tracked files differ from it.

    None if no repository tracks the code: a package installed below another repository is not part of it.
    """
    package = Path(__file__).resolve().parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        answer = subprocess.run(
            ["git", *words],
            cwd=package,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def describe_stage(stage: Stage) -> dict[str, Any]:
    """Return the record of a stage of training."""
    changing = {"weights_approach": list(stage.end)} if stage.end != stage.weights else {}
    return {"from_step": stage.step, "weights": list(stage.weights), "head_1_share": stage.first_share, **changing}


def describe_extra(experiment: Experiment) -> dict[str, Any]:
    """Return the record of losses and parameters that are not those of the prediction heads; nothing without any."""
    names = experiment.objective.losses(experiment.n_future)
    if len(names) == experiment.n_future:
        return {}
    return {"losses": list(names), "auxiliary_parameters": experiment.auxiliary_parameters}
