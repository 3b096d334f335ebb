"""Interleaved timing: what is compared takes turns, so that a noisy machine disturbs all alike; medians are reported."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
from rich.console import Console
from rich.table import Table


def interleaved(arms: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds that each arm took in each round, in turns.

    Args:
        arms: What to call, by name.
        rounds: How often each is timed.
        warm_up: How often each is called before.
    """
    for arm in arms.values():
        for _ in range(warm_up):
            arm()

    def timed(arm: Callable[[], object]) -> float:
        began = time.perf_counter()
        arm()
        return time.perf_counter() - began

    return in_turns({name: partial(timed, arm) for name, arm in arms.items()}, rounds)


def in_turns(arms: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each arm gives in each round, in turns: for arms that measure their own seconds."""
    values: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            values[name].append(arm())
    return values


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each arm, seconds."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def paired_ratio(seconds: Mapping[str, list[float]], above: str, below: str) -> float:
    """Median over rounds of one arm's time divided by another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table with the machine beneath its title."""
    threads = torch.get_num_threads()
    machine = f"torch {torch.__version__}, {threads} threads, {platform.machine()}, Python {platform.python_version()}"
    table = Table(title=f"{title}\n{machine}", box=None, header_style="bold", title_justify="left", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)


def verdict(value: float, limit: float, *, at_least: bool) -> str:
    """A ratio beside its target, and whether it is met."""
    met = value >= limit if at_least else value <= limit
    return f"{value:.3f} (target {'>=' if at_least else '<='} {limit:g}: {'met' if met else 'MISSED'})"
