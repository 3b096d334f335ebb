"""A page of tables in Markdown, made of nothing but what runs say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lab.runs import Run
from lab.runs.files import write_atomic
from lab.stats.statistics import RULE


def markdown_table(table: pd.DataFrame) -> str:
    """A frame as a Markdown table, floats with three significant digits, a dash where there is no number."""
    rows = [list(table.columns), ["---"] * len(table.columns)]
    rows += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


READING = f"""\
{RULE}
Where there are two p-values it is the log-rank test's that decides; `later` is how much later b emerges than a, as a share.
Intervals are of 90 %: of means by expanded percentile bootstrap over seeds, of shares exact (Clopper and Pearson).
They do not decide what is found.
All runs of a sweep are measured on the same {{sequences}} sequences; what others would give is not in the intervals."""
"""How a page's tables are to be read."""


def write_page(path: Path, title: str, sections: Mapping[str, str], runs: Sequence[Run]) -> Path:
    """Write a page.

    Args:
        path: Where.
        title: Its heading.
        sections: Text by heading.
        runs: What it rests on: versions, commits and wall time are told at the end.

    Raises:
        LabError: If the system refuses.
    """
    seconds = sum(float(run.record["wall_seconds"]) for run in runs)
    commits = ", ".join(sorted({str(run.record["commit"]) for run in runs}))
    versions = ", ".join(f"{name} {version}" for name, version in runs[0].record["versions"].items())
    told = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    foot = f"{len(runs)} runs, {seconds / 3600:.1f} hours of training in all; code at {commits}; {versions}."
    reading = READING.format(sequences=runs[-1].experiment.evaluation.examples)
    write_atomic(path, f"# {title}\n\n{told}\n\n## How to read the tables\n\n{reading}\n\n## Where this comes from\n\n{foot}\n")
    return path


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return str(value)
