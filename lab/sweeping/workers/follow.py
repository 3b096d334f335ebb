"""Progress of a sweep: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from optuna.trial import TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lab.sweeping.workers.trials import Update

_WORDS = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "FAILED"}


class Follow:
    """Shows what workers tell.

    Args:
        console: Where to.
        total: Trials in all; None if it is not known.
        done: Trials that are over already.
        evaluations: Whether each evaluation is shown as well.
    """

    def __init__(self, console: Console, total: int | None, done: int = 0, *, evaluations: bool = False) -> None:
        self._total, self._over, self._evaluations = total, done, evaluations
        self._shares: dict[int, float] = {}
        self._began, self._first = time.monotonic(), done
        self._waits = False
        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.1f}/{task.total}"), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("trials", total=total, completed=done)

    def __enter__(self) -> Follow:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, update: Update) -> None:
        """Take in what a worker tells."""
        if update.trial < 0:
            if not self._waits and not self._shares:
                self.note("waiting for what others train; if they are lost, it is done here")
                self._waits = True
            return
        if update.ended is None:
            self._shares[update.trial] = max(self._shares.get(update.trial, 0.0), update.share)
        else:
            self._shares.pop(update.trial, None)
            self._over += 1
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
        return self._over + sum(self._shares.values())

    def _count(self) -> str:
        return f"{self._over}/{self._total}" if self._total else str(self._over)

    def _left(self) -> str:
        gone = self._completed - self._first
        if not self._total or gone <= 0 or self._completed >= self._total:
            return ""
        seconds = (time.monotonic() - self._began) / gone * (self._total - self._completed)
        return f"  {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds in words, to two digits or so."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.{0 if seconds >= 20 * size else 1}f} {unit}"
    return f"{seconds:.0f} s"
