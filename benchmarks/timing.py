"""Interleaved timing, so that noise of the machine affects all candidates equally; medians are reported."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.progress import each


@dataclass(frozen=True)
class Finding:
    """A measured number beside its target.

    Attributes:
        what: What was measured.
        value: The number, mostly a ratio.
        limit: Its target.
        at_least: Whether the target is a floor; else it is a ceiling.
    """

    what: str
    value: float
    limit: float
    at_least: bool

    @property
    def verdict(self) -> str:
        """The number, its target, and whether it is met."""
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return f"{self.value:.3f} (target {'>=' if self.at_least else '<='} {self.limit:g}: {'met' if met else 'MISSED'})"


def clock() -> float:
    """Seconds: the process's own where it is one thread on a CPU, which other programs disturb least, else the wall's."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.process_time() if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter()


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Time every candidate in each round, interleaved, in seconds.

    Args:
        candidates: What to call, by name.
        rounds: How often each is timed.
        warm_up: How often each is called before.
    """
    for name in each("warm-up", candidates):
        for _ in range(warm_up):
            candidates[name]()

    def timed(candidate: Callable[[], object]) -> float:
        began = clock()
        candidate()
        return clock() - began

    return in_turns({name: partial(timed, candidate) for name, candidate in candidates.items()}, rounds)


def in_turns(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every candidate in each round, interleaved, and return the values: for candidates that measure their own seconds."""
    values: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in each(f"{', '.join(candidates)}: round", range(rounds), at_most_every=1.0):
        for name, candidate in candidates.items():
            values[name].append(candidate())
    return values


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each candidate, in seconds."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def paired_ratio(seconds: Mapping[str, list[float]], above: str, below: str) -> float:
    """Return the median over rounds of one candidate's time divided by another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table with the machine beneath its title."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=120)
    console.print(f"[bold]{title}[/bold]\n[dim]{machine()}[/dim]", highlight=False)
    console.print(table)


def print_findings(title: str, findings: list[Finding]) -> None:
    """Print what was measured beside its targets."""
    print_table(title, ["what", "measured"], [[finding.what, finding.verdict] for finding in findings])


def machine() -> str:
    """Versions and threads, in a line."""
    threads = torch.get_num_threads()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"torch {torch.__version__}, {threads} threads, {where}, Python {platform.python_version()}"
