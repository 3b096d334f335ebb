"""A run that seems to be in training: its folder grows while a test looks at it."""

from pathlib import Path

from lab.config import Experiment
from lab.runs import tables
from lab.runs.lock import Lock
from lab.runs.names import headline
from tests.helpers.runs import make_run


class Growing:
    """A run in progress, whose lock is held.

    Attributes:
        run: The run.
    """

    def __init__(self, path: Path, experiment: Experiment) -> None:
        self.run = make_run(path, experiment, state="running")
        self._lock = Lock(path)

    def measure(self, step: int, value: float) -> None:
        """Add an evaluation point; a step takes a tenth of a second."""
        experiment, path = self.run.experiment, self.run.path
        tables.append_metrics(path / "metrics.csv", step, step * 100, step, {headline(experiment): value, "loss/all/1": 1.0})
        tables.append(path / "timing.csv", tables.TIMING, [(step, f"{0.1 * step:.3f}", "100")])

    def end(self, state: str = "finished") -> None:
        """End the run in a state, or leave it as a killed process does (`killed`)."""
        if state != "killed":
            record = self.run.path / "run.json"
            record.write_text(record.read_text().replace('"running"', f'"{state}"'))
        self._lock.release()
