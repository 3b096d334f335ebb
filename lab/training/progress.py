"""Show the progress of a run: live in a terminal or a notebook, elsewhere a plain line for each evaluation point."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from html import escape

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from lab.config import Experiment
from lab.metrics import NEXT_TOKEN_LOSS, Metric
from lab.processes import in_notebook
from lab.runs.names import headline
from lab.runs.notebook import Output
from lab.runs.sparkline import sparkline
from lab.runs.status import duration

_UPDATE_SECONDS, _CURVE = 0.5, 40
"""In a notebook: seconds between two updates of the bar, and characters of the curve."""


class Progress:
    """The base class of a run's progress, which shows nothing; `Lines`, `Live` and `Notebook` do."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._began, self._first = time.monotonic(), 0

    def start(self, step: int) -> None:
        """Begin at a step."""
        self._began, self._first = time.monotonic(), step

    def advance(self, step: int) -> None:
        """Show that a step is done."""

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Show the metrics of an evaluation point."""

    def stop(self) -> None:
        """End, finished or not."""

    def summary(self, step: int, values: Mapping[str, float]) -> str:
        """Summarise loss, the task's metric and speed in one line."""
        name = headline(self.experiment)
        elapsed = time.monotonic() - self._began
        rate = (step - self._first) * self.experiment.batch_size / max(elapsed, 1e-9)
        words = [f"loss {values[NEXT_TOKEN_LOSS]:.3f} nats"]
        if name in values:
            words.append(f"{name} {values[name]:.3f}")
        if step > self._first:
            words.append(f"{rate:,.0f} sequences/s")
        return "  ".join(words)


class Lines(Progress):
    """Write one plain line for each evaluation point."""

    def __init__(self, experiment: Experiment, write: Callable[[str], object] = print) -> None:
        super().__init__(experiment)
        self._write = write

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        total = self.experiment.steps
        left = (time.monotonic() - self._began) / max(step - self._first, 1) * (total - step)
        ending = f"  {left:.0f} s left" if self._first < step < total else ""
        self._write(f"step {step:>{len(str(total))}}/{total}  {self.summary(step, values)}{ending}")


class Live(Progress):
    """Show a live bar in a terminal."""

    def __init__(self, experiment: Experiment, console: Console) -> None:
        super().__init__(experiment)
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=experiment.steps)

    def start(self, step: int) -> None:
        super().start(step)
        self._bar.start()
        self.advance(step)

    def advance(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        self._bar.update(self._task, description=self.summary(step, values))

    def stop(self) -> None:
        self._bar.stop()


class Notebook(Progress):
    """Show a bar with the curve of the task's metric in the output of a notebook's cell."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self._output = Output()
        self._step, self._summary, self._shown = 0, "starting", 0.0
        self._curve: list[float] = []

    def start(self, step: int) -> None:
        super().start(step)
        self._step = step
        self._show()

    def advance(self, step: int) -> None:
        self._step = step
        if time.monotonic() - self._shown >= _UPDATE_SECONDS:
            self._show()

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        self._step, self._summary = step, self.summary(step, values)
        self._curve.append(values.get(headline(self.experiment), values[NEXT_TOKEN_LOSS]))
        self._show()

    def stop(self) -> None:
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        step, total, experiment = self._step, self.experiment.steps, self.experiment
        text = f"{experiment.task.name}, n = {experiment.n_future}, seed {experiment.seed}: step {step}/{total}"
        elapsed = self._shown - self._began
        if self._first < step < total:
            left = elapsed / (step - self._first) * (total - step)
            text += f", {duration(left)} left"
        elif step == total:
            text += f", {duration(elapsed)}"
        name = headline(experiment)
        bounded = Metric.parse(name).unit == "fraction"
        low, high = (0.0, 1.0) if bounded or not self._curve else (min(self._curve), max(self._curve))
        curve = sparkline(self._curve, low, high, _CURVE)
        bar = f'<progress value="{step}" max="{total}"></progress> {escape(text)}<br>'
        line = f'<span style="font-family: monospace">{curve}</span> {escape(self._summary)}'
        self._output.show(f"<div>{bar}{line}</div>", f"{text}  {self._summary}")


def default_progress(experiment: Experiment) -> Progress:
    """Return a notebook's progress where a notebook runs this process, else one that shows nothing."""
    return Notebook(experiment) if in_notebook() else Progress(experiment)


def progress_for(experiment: Experiment, console: Console) -> Progress:
    """Return a live bar if the console is a terminal, else plain lines."""
    return (
        Live(experiment, console) if console.is_terminal else Lines(experiment, lambda line: console.out(line, highlight=False))
    )
