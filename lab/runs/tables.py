"""The tables of a run: metrics, one line for each (step, metric), and timing; both are appended during the run.

Floats are written so that they read back bit for bit; wall time stands in a table of its own, so that two runs of the same
experiment and seed have the very same metrics.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.errors import LabError
from lab.runs.files import readable_errors, write_atomic

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("step", "tokens", "scored_tokens", "metric", "value")
OLD_METRICS = ("step", "tokens", "metric", "value")
"""Columns of older runs, which counted padding as tokens."""
TIMING = ("step", "seconds", "tokens_per_second")
_MOST = 10**18
"""Greatest whole number in a table, which a column of 64 bits holds."""


class Row(NamedTuple):
    """One measurement.

    Attributes:
        step: Optimiser steps done.
        tokens: Input tokens seen, all but padding; NaN at a step that is no evaluation point.
        scored_tokens: Targets of the next-token head that trained it; NaN in tables of older runs.
        metric: Its name.
        value: Of the metric, in its unit.
    """

    step: int
    tokens: float
    scored_tokens: float
    metric: str
    value: float


def append(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Append lines to a table, with its header if it is new; a kill does not lose them.

    Raises:
        LabError: If the table cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    with readable_errors(path), path.open("a", encoding="utf-8", newline="") as file:
        if file.tell() == 0:
            writer.writerow(columns)
        writer.writerows(rows)
        file.write(buffer.getvalue())


def append_metrics(path: Path, step: int, tokens: int, scored_tokens: int, values: Mapping[str, float]) -> None:
    """Append the metrics of one evaluation point."""
    append(path, METRICS, [(step, tokens, scored_tokens, metric, repr(float(value))) for metric, value in values.items()])


def read_metrics(path: Path) -> list[Row]:
    """Read every whole line of a table of metrics; a last line that a kill cut short is left out.

    Raises:
        LabError: If the table cannot be read or is none.
    """
    lines = _lines(path)
    columns = tuple(lines[0].strip().split(",")) if lines else ()
    if columns not in (METRICS, OLD_METRICS):
        raise LabError(f"{path}: not a table of metrics (its first line must be {','.join(METRICS)})")
    rows: dict[tuple[int, str], Row] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            [[step, tokens, *scored, metric, value]] = csv.reader([line])
            [scored_tokens] = map(int, scored) if columns == METRICS else [math.nan]
            row = Row(int(step), int(tokens), scored_tokens, metric, float(value))
            if row.step > _MOST or row.tokens > _MOST or scored_tokens > _MOST:
                raise ValueError(line)
        except (ValueError, csv.Error) as error:
            raise LabError(f"{path}, line {number}: not {', '.join(columns)}") from error
        if not metric or not metric.isprintable() or "\ufffd" in metric:
            raise LabError(f"{path}, line {number}: not the name of a metric")
        if (row.step, metric) in rows:
            raise LabError(f"{path}, line {number}: {metric} of step {step} stands there twice")
        rows[row.step, metric] = row
    return list(rows.values())


def read_seconds(path: Path) -> dict[int, float]:
    """Read the wall time in seconds at each evaluation point, by step; empty without a table."""
    if not path.exists():
        return {}
    lines, seconds = _lines(path), {}
    if lines and tuple(lines[0].strip().split(",")) != TIMING:
        raise LabError(f"{path}: not a table of timing (its first line must be {','.join(TIMING)})")
    for number, line in enumerate(lines[1:], start=2):
        try:
            step, elapsed, _ = line.split(",")
            if int(step) in seconds or int(step) > _MOST or not math.isfinite(float(elapsed)):
                raise ValueError(line)
            seconds[int(step)] = float(elapsed)
        except ValueError as error:
            raise LabError(f"{path}, line {number}: not {', '.join(TIMING)}") from error
    return seconds


def keep_until(path: Path, step: int) -> None:
    """Drop the lines after a step (-1: the whole table), before a run resumes from its checkpoint at that step.

    Args:
        path: A table whose lines can be read.
        step: In optimiser steps.
    """
    if step < 0:
        path.unlink(missing_ok=True)
    elif path.exists():
        lines = _lines(path)
        write_atomic(path, "".join(lines[:1] + [line for line in lines[1:] if int(line.split(",", 1)[0]) <= step]))


def _lines(path: Path) -> list[str]:
    with readable_errors(path):
        text = path.read_bytes().decode("utf-8", errors="replace")
    return [line + "\n" for line in text.split("\n")[:-1]]


def with_cost(rows: Sequence[Row], seconds: Mapping[int, float], batch_size: int, flops_per_step: float) -> pd.DataFrame:
    """Return measurements of a run as a table, with the cost of the run at each step.

    Args:
        rows: The measurements.
        seconds: Wall time by step.
        batch_size: Sequences of a step.
        flops_per_step: Floating-point operations of a step.
    """
    import pandas as pd

    part = pd.DataFrame(rows, columns=METRICS)
    part.insert(3, "sequences", part["step"] * batch_size)
    part.insert(4, "flops", part["step"] * flops_per_step)
    part.insert(5, "seconds", part["step"].map(seconds).astype(float))
    return part


def format_setting(value: Any) -> Any:
    """Return a setting in a form that a table can group: a list as text, one of groups of settings in words."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return "; ".join(
            " ".join(f"{name.replace('_', ' ')} {_in_words(inner)}" for name, inner in item.items()) for item in value
        )
    return str(value) if isinstance(value, list) else value


def _in_words(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)
