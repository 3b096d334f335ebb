"""Loggers beside a run's own tables: TensorBoard, Weights & Biases, MLflow.

A logger never fails a run: after an exception it is left out, with one warning. After a resumption it has the series of a run
that was never stopped: each takes from the run's tables the points that it lacks, and none twice.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lab.config import Experiment
from lab.config.files import flat
from lab.errors import LabError
from lab.metrics import headline_metric
from lab.runs.files import read_json
from lab.runs.layout import RECORD
from lab.runs.run import Run
from tasks.errors import nearest

PROJECT = "mtp-lab"
"""Name of the project or experiment in a logger, if no variable of the environment names one."""


@dataclass(frozen=True)
class Logged:
    """The run of a logger.

    Attributes:
        path: Its folder.
        experiment: Its settings.
        id: Its name in stores that hold several runs.
        last_step: The last step in its tables, -1 if they are empty.
    """

    path: Path
    experiment: Experiment
    id: str
    last_step: int

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted name."""
        return flat(self.experiment.model_dump(mode="json"))


class Logger(ABC):
    """Sends the evaluation points of a run somewhere.

    Attributes:
        package: What must be installed; the extra of the same name installs it.
    """

    package: str

    @abstractmethod
    def __init__(self, run: Logged) -> None:
        """Open the log, with the run's settings."""

    @abstractmethod
    def has(self, step: int) -> bool:
        """Return whether the log has a step already, from before the run was resumed."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the metrics of an evaluation point, so that a kill does not lose them."""

    @abstractmethod
    def close(self, state: str) -> None:
        """End the log of a run that is now in a state; see `Run.state`."""


class TensorBoard(Logger):
    """Event files in the run's folder, `tensorboard/`."""

    package = "tensorboard"

    def __init__(self, run: Logged) -> None:
        from lightning.pytorch.loggers import TensorBoardLogger
        from torch.utils.tensorboard.summary import hparams

        resumed = (run.path / "tensorboard").is_dir()
        self._last_step = run.last_step if resumed else -1
        purge: Any = {"purge_step": run.last_step + 1} if resumed else {}  # readers leave out what a kill left after it
        self._logger = TensorBoardLogger(run.path, name="tensorboard", version="", default_hp_metric=False, **purge)
        if not resumed:
            plain = {
                name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in run.settings.items()
            }
            metric = str(headline_metric(run.experiment.task.headline))
            for summary in hparams(plain, {metric: 0.0}):  # type: ignore[no-untyped-call]
                self._logger.experiment._get_file_writer().add_summary(summary)

    def has(self, step: int) -> bool:
        return step <= self._last_step

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._logger.log_metrics(dict(values), step)
        self._logger.experiment.flush()

    def close(self, state: str) -> None:
        self._logger.finalize(state)


class WandB(Logger):
    """Weights & Biases, offline in the run's folder, `wandb/`, unless `WANDB_MODE` says otherwise.

    An offline log cannot be resumed: a new one with all points replaces it, unless `wandb sync` has sent it.
    """

    package = "wandb"

    def __init__(self, run: Logged) -> None:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        before = [folder for folder in run.path.glob(f"wandb/offline-run-*-{run.id}") if not [*folder.glob("*.synced")]]
        self._run = wandb.init(  # by itself, since Lightning's logger takes one run a process
            dir=run.path,
            id=run.id,
            name=run.path.name,
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            config=run.settings,
            mode=mode,
            resume=None if mode == "offline" else "allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        for folder in before:
            shutil.rmtree(folder)

    def has(self, step: int) -> bool:
        return bool(step < self._run.step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step, commit=True)

    def close(self, state: str) -> None:
        self._run.finish(exit_code=1 if state == "diverged" else 0)


class MLflow(Logger):
    """A run in MLflow's store: the one that `MLFLOW_TRACKING_URI` names, else `mlflow.db` in the working directory.

    MLflow's names have no colon: a metric of a variant, such as `far:accuracy/copy/1`, is `far/accuracy/copy/1` there.
    """

    package = "mlflow"

    def __init__(self, run: Logged) -> None:
        import mlflow
        from lightning.pytorch.loggers import MLFlowLogger

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it reports each table that it creates
        store, name = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        client = mlflow.MlflowClient(store)
        experiment = client.get_experiment_by_name(name)
        mine = f"tags.`{PROJECT}.id` = '{run.id}'"
        found = [] if experiment is None else client.search_runs([experiment.experiment_id], mine)
        run_id = found[0].info.run_id if found else None
        tags = {f"{PROJECT}.id": run.id}
        self._logger = MLFlowLogger(name, run.path.name, store, tags, run_id=run_id)
        self._steps: set[int] = set()
        if run_id is None:
            self._logger.log_hyperparams(run.settings)
        else:
            client.update_run(run_id, status="RUNNING")
            metrics = found[0].data.metrics
            each = [{point.step for point in client.get_metric_history(run_id, metric)} for metric in metrics]
            self._steps = set.union(*each) if each else set()

    def has(self, step: int) -> bool:
        return step in self._steps

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._logger.log_metrics({name.replace(":", "/"): value for name, value in values.items()}, step)

    def close(self, state: str) -> None:
        self._logger.finalize({"finished": "success", "diverged": "failed"}.get(state, "KILLED"))


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
"""Loggers by name."""


class RunLoggers:
    """The loggers of one run."""

    def __init__(self, run: Run) -> None:
        """Open the loggers that a run's record names, and give them the points in its tables that they lack."""
        entry: Mapping[str, Any] = run.record.get("loggers", {})
        rows = run.metrics() if entry else []
        logged = Logged(run.path, run.experiment, entry.get("id", ""), rows[-1].step if rows else -1)
        self._record, self._open = run.path / RECORD, dict[str, Logger]()
        for name in entry.get("names", ()):
            self._try(name, self._begin, name, logged)
        for step, points in groupby(rows, key=lambda row: row.step):
            self.log(step, {row.metric: row.value for row in points})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send an evaluation point to the loggers that lack it."""
        for name, logger in list(self._open.items()):
            self._try(name, _log_once, logger, step, values)

    def close(self) -> None:
        """End the logs, with the state that the run has now."""
        for name, logger in list(self._open.items()):
            self._try(name, lambda logger: logger.close(str(read_json(self._record)["state"])), logger)
        self._open.clear()

    def _begin(self, name: str, run: Logged) -> None:
        self._open[name] = LOGGERS[name](run)

    def _try(self, name: str, action: Callable[..., None], *arguments: Any) -> None:
        """Do something with a logger; after an exception the logger is left out."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                action(*arguments)
        except Exception as error:
            self._open.pop(name, None)
            text = " ".join(str(error).split()) or type(error).__name__
            print(f"lab: logger {name} is left out from here on, and training goes on: {text}", file=sys.stderr)


def _log_once(logger: Logger, step: int, values: Mapping[str, float]) -> None:
    if not logger.has(step):
        logger.log(step, values)


def check_loggers(names: Iterable[str]) -> list[str]:
    """Return the names of loggers, each once.

    Raises:
        LabError: For one that is unknown or not installed.
    """
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in LOGGERS:
            raise LabError(f"unknown logger {name!r}; {nearest(name, LOGGERS)}")
        if importlib.util.find_spec(LOGGERS[name].package) is None:
            raise LabError(f"loggers: {name} is not installed: pip install 'mtp-lab[{LOGGERS[name].package}]'")
    return chosen


def logger_record(names: Sequence[str]) -> dict[str, Any]:
    """Return the entry of a run's record that names its loggers; none without loggers."""
    return {"loggers": {"names": list(names), "id": secrets.token_hex(4)}} if names else {}
