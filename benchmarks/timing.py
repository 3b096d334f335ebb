"""Time candidates in interleaved rounds, so that noise of the machine affects all equally, and print tables of the results."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.progress import each


@dataclass(frozen=True)
class Finding:
    """A measured number with its target.

    Attributes:
        name: What was measured, with the unit if it has one.
        value: The measured number, in most cases a ratio.
        bound: Whether the value should be at least (`>=`) or at most (`<=`) the target.
        target: The target, in the unit of the value.
    """

    name: str
    value: float
    bound: Literal[">=", "<="]
    target: float

    @property
    def verdict(self) -> str:
        """Format the value, the target and whether it is met."""
        met = self.value >= self.target if self.bound == ">=" else self.value <= self.target
        return f"{self.value:.3f} (target {self.bound} {self.target:g}: {'met' if met else 'MISSED'})"


def clock() -> float:
    """Return a time in seconds, after all work of the GPU.

    It is the processor time of the process if this runs one thread on a CPU, since other programs disturb it least; otherwise
    it is the wall time.
    """
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.process_time() if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter()


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Time every candidate once in each round.

    Args:
        candidates: Functions to time, by name.
        rounds: Number of timed calls of each candidate.
        warm_up: Number of calls of each candidate before the first round.

    Returns:
        Seconds of each candidate, by round.
    """
    for name in each("warm-up", candidates):
        for _ in range(warm_up):
            candidates[name]()

    def time_call(candidate: Callable[[], object]) -> float:
        start = clock()
        candidate()
        return clock() - start

    return call_in_turns({name: partial(time_call, candidate) for name, candidate in candidates.items()}, rounds)


def call_in_turns(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every candidate, which measures itself, once in each round.

    Args:
        candidates: Functions that return a measured value, by name.
        rounds: Number of calls of each candidate.

    Returns:
        Values of each candidate, by round.
    """
    values: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in each(f"{', '.join(candidates)}: round", range(rounds), at_most_every=1.0):
        for name, candidate in candidates.items():
            values[name].append(candidate())
    return values


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each candidate, in seconds."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def paired_ratio(seconds: Mapping[str, list[float]], numerator: str, denominator: str) -> float:
    """Return the median over rounds of one candidate's time divided by another's time in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[numerator], seconds[denominator], strict=True))


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table, with versions and machine below its title."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=120)
    console.print(f"[bold]{title}[/bold]\n[dim]{describe_machine()}[/dim]", highlight=False)
    console.print(table)


def print_findings(title: str, findings: list[Finding]) -> None:
    """Print a table of findings with their targets."""
    print_table(title, ["what", "measured"], [[finding.name, finding.verdict] for finding in findings])


def describe_machine() -> str:
    """Return a line with the versions of torch and Python, the number of threads and the processor."""
    threads = torch.get_num_threads()
    processor = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"torch {torch.__version__}, {threads} threads, {processor}, Python {platform.python_version()}"
