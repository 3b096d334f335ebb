"""A page of tables in Markdown, made of nothing but what runs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lab.runs import Run
from lab.runs.files import write_atomic


def markdown_table(table: pd.DataFrame) -> str:
    """A frame as a Markdown table, floats with three significant digits."""
    rows = [list(table.columns), ["---"] * len(table.columns)]
    rows += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


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
    foot += "\nIntervals: 90 %, expanded percentile bootstrap over seeds."
    write_atomic(path, f"# {title}\n\n{told}\n\n## Where this comes from\n\n{foot}\n")
    return path


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
