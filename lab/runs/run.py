"""A run: a folder that explains itself.

experiment.yaml     every setting
run.json            state, versions, git commit, host, seed, parameters, wall time
metrics.csv         step, tokens, scored_tokens, metric, value
timing.csv          step, seconds, tokens_per_second
model.safetensors   the trained weights
checkpoint-<step>/  while it is not finished: all that it needs to go on
.lock               empty; while a process trains it, locked by that process
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config import Experiment, load
from lab.errors import LabError
from lab.runs import metrics
from lab.runs.files import read_json
from lab.runs.lock import LOCK, is_locked
from tasks.errors import TaskError

if TYPE_CHECKING:
    import pandas as pd

    from lab.model import Network

FORMAT = 1
"""Version of the folder's layout; a reader refuses others."""
EXPERIMENT, RECORD, METRICS, TIMING, WEIGHTS = "experiment.yaml", "run.json", "metrics.csv", "timing.csv", "model.safetensors"

STATE, TENSORS = "state.json", "state.safetensors"
"""The files of a checkpoint."""
_LEFT = re.compile(
    r"\.checkpoint-[0-9]{8,}(\.[0-9a-f]{8}\.partial)?|\.(run\.json|.*\.csv|model\.safetensors)\.[0-9a-f]{8}\.partial"
)
"""What a kill in the middle of writing or removing leaves in a run's folder."""


class Run:
    """A run's folder, opened for reading.

    Attributes:
        path: The folder.
        key: What tells it from other runs in a frame: its path below the folder that it was opened from, else its name.
        experiment: What was run.
        record: What `run.json` says.
    """

    def __init__(self, path: Path | str) -> None:
        """Open a run.

        Raises:
            LabError: If the folder is missing, no run, or written by another version of its format.
        """
        self.path = Path(path)
        self.key = self.name
        if not self.path.is_dir():
            raise LabError(f"{self.path}: no such folder")
        if not is_run(self.path):
            raise LabError(f"{self.path}: not a run (it holds no {RECORD})")
        self.record: dict[str, Any] = self._checked_record()
        self.experiment: Experiment = load(self.path / EXPERIMENT, check_files=False)  # a run opens without its corpus
        for name in ("wall_seconds", "non_embedding_parameters"):
            if not isinstance(self.record.get(name), (int, float)):
                raise LabError(f"{self.path / RECORD}: {name} must be a number, not {self.record.get(name)!r}")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def state(self) -> str:
        """`running` (a process trains it now), `killed`, `stopped` (by a signal; it has saved), `finished` or `diverged`.

        Of a sweep also `pruned` (ended early) or `failed`.
        """
        state = str(self.record["state"])
        if state == "running" and not is_locked(self.path / LOCK):
            state = str(self._checked_record()["state"])  # it may have ended since the run was opened
            return "killed" if state == "running" else state
        return state

    @property
    def is_edited(self) -> bool:
        """Whether `experiment.yaml` is another experiment than the one that the run began with.

        Comments do not matter. A run of an older version has no digest of the file, and its fingerprint may lack settings that
        have come since: it does not count as edited.
        """
        digest = self.record.get("experiment_sha256")
        if digest is None or digest == hashlib.sha256((self.path / EXPERIMENT).read_bytes()).hexdigest():
            return False
        return bool(self.record["fingerprint"] != self.experiment.fingerprint)

    def check_unedited(self) -> None:
        """Reject a run whose settings are not those that its numbers come from.

        Raises:
            LabError: Naming the file.
        """
        if self.is_edited:
            raise LabError(f"{self.path / EXPERIMENT}: was changed since the run began; restore it, or train a new run")

    @property
    def last_sign(self) -> datetime:
        """When the run last wrote something, in local time."""
        times = [path.stat().st_mtime for name in (RECORD, METRICS, TIMING) if (path := self.path / name).exists()]
        return datetime.fromtimestamp(max(times)).astimezone()

    def frame(self) -> pd.DataFrame:
        """Tidy metrics of this run: one row for each (tokens seen, metric), settings as columns. See `lab.runs.frame`."""
        from lab.runs.frames import frame

        return frame([self])

    def model(self) -> Network:
        """The network with the trained weights, on the CPU, in evaluation mode; of an unfinished run, those of its checkpoint.

        Raises:
            LabError: If there are no weights yet, or they are cut short or do not fit the experiment.
        """
        from lab.runs.weights import load_network

        return load_network(self)

    def metrics(self) -> list[metrics.Row]:
        """The rows of its table of metrics, empty before the first evaluation."""
        path = self.path / METRICS
        return metrics.read_metrics(path) if path.exists() else []

    def seconds(self) -> dict[int, float]:
        """Wall time in seconds at each evaluation point, by step."""
        return metrics.read_seconds(self.path / TIMING)

    def checkpoint(self) -> Path | None:
        """The folder of its newest checkpoint."""
        return max(checkpoints(self.path), key=checkpoint_step, default=None)

    def _checked_record(self) -> dict[str, Any]:
        path = self.path / RECORD
        record = read_json(path)
        if not isinstance(record, dict) or "format" not in record or "state" not in record:
            raise LabError(f"{path}: not the record of a run")
        if record["format"] != FORMAT:
            raise LabError(f"{path}: written in format {record['format']!r}; this version reads format {FORMAT}")
        return record


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / RECORD).is_file()


def checkpoint_name(step: int) -> str:
    """The name of the folder of a checkpoint."""
    return f"checkpoint-{step:08d}"


def checkpoint_step(path: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(path.name.removeprefix("checkpoint-"))


def checkpoints(path: Path) -> list[Path]:
    """The checkpoints in a run's folder: what a run wrote, by name and content. Other folders are nobody's business."""
    return [
        folder
        for folder in path.glob("checkpoint-*")
        if re.fullmatch(r"checkpoint-[0-9]{8,}", folder.name) and any((folder / name).is_file() for name in (STATE, TENSORS))
    ]


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, unless something else lies in its folder."""
    if {each.name for each in path.iterdir()} <= {STATE, TENSORS}:
        doomed = path.with_name(f".{path.name}")  # renamed first, so that a kill leaves none that is half there
        shutil.rmtree(doomed, ignore_errors=True)
        path.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove what a kill in the middle of writing or removing has left in a run's folder."""
    for each in path.iterdir():
        if _LEFT.fullmatch(each.name) and each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        elif _LEFT.fullmatch(each.name):
            each.unlink(missing_ok=True)


def open_runs(paths: Sequence[Path | str] | Path | str) -> list[Run]:
    """The runs in some folders: each a run itself, or a folder of runs, searched below it; links are followed, each run once.

    A search leaves out what a sweep has pruned or could not train: such runs would be averaged with whole ones. A run that
    cannot be read is left out as well, and named on standard error.

    Raises:
        LabError: If a folder is missing or holds no run, or no run can be read.
    """
    runs: dict[Path, Run] = {}
    unreadable: list[LabError] = []
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        if not path.is_dir():
            raise LabError(f"{path}: no such folder")
        alone = is_run(path)
        found = [path] if alone else sorted(_run_folders(path))
        if not found:
            raise LabError(f"{path}: holds no runs")
        for folder in found:
            try:
                run = Run(folder)
            except (LabError, TaskError) as error:
                unreadable.append(error if isinstance(error, LabError) else LabError(f"{folder}: {error}"))
                continue
            run.key = run.name if alone else folder.relative_to(path).as_posix()
            if alone or run.state not in ("pruned", "failed"):
                runs.setdefault(folder.resolve(), run)
    complain(unreadable, all_failed=not runs)
    return list(runs.values())


def complain(errors: Sequence[LabError], *, all_failed: bool) -> None:
    """Name on standard error what cannot be read and is left out.

    Raises:
        LabError: The first, if nothing is left.
    """
    if errors and all_failed:
        raise errors[0]
    for error in errors:
        print(f"lab: left out: {error}", file=sys.stderr)


def _run_folders(path: Path) -> Iterator[Path]:
    """The folders of runs below a folder, hidden ones left out; a link that leads back is followed once."""
    seen = set()
    for folder, below, files in os.walk(path, followlinks=True):
        real = Path(folder).resolve()
        below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
        if RECORD in files and real not in seen:
            yield Path(folder)
        seen.add(real)
