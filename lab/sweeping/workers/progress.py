"""Progress of a sweep: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from optuna.trial import TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lab.runs.status import duration
from lab.sweeping.workers.trials import Update

_WORDS = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "FAILED"}


class SweepProgress:
    """Show the updates of workers.

    Args:
        console: Where to show them.
        total: Number of trials; None if it is unknown.
        done: Trials that have ended already.
        evaluations: Whether to show each evaluation as well.
    """

    def __init__(self, console: Console, total: int | None, done: int = 0, *, evaluations: bool = False) -> None:
        self._total, self._done, self._evaluations = total, done, evaluations
        self._shares: dict[int, float] = {}
        self._started, self._done_before = time.monotonic(), done
        self._waiting = False
        count = TextColumn("{task.completed:.1f}/{task.total}")
        columns = TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("sweep", total=total, completed=done)

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, update: Update) -> None:
        """Show a worker's update."""
        if update.trial < 0:
            if not self._waiting and not self._shares:
                self.note("waiting for the runs of other workers; if they are lost, this one trains them")
                self._waiting = True
            return
        if update.ended is None:
            self._shares[update.trial] = max(self._shares.get(update.trial, 0.0), update.share)
        else:
            self._shares.pop(update.trial, None)
            self._done += 1
        self._bar.update(self._task, completed=self._completed)
        if update.ended is not None:
            self.note(f"{self._count():<9}{update.run}  {_WORDS[update.ended]}  {update.text}{self._left()}")
        elif update.text and self._evaluations:
            share = f"{100 * self._completed / self._total:3.0f} %  " if self._total else ""
            self.note(f"{share}{update.run:<10} step {update.step:>4}  {update.text}")

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.out(line, highlight=False)

    @property
    def _completed(self) -> float:
        return self._done + sum(self._shares.values())

    def _count(self) -> str:
        return f"{self._done}/{self._total}" if self._total else str(self._done)

    def _left(self) -> str:
        progressed = self._completed - self._done_before
        if not self._total or progressed <= 0 or self._completed >= self._total:
            return ""
        seconds = (time.monotonic() - self._started) / progressed * (self._total - self._completed)
        return f"  {duration(seconds)} left"
