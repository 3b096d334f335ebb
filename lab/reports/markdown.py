"""Pages of tables in Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lab.reports.section import Section, render_markdown
from lab.runs import Run
from lab.runs.files import write_atomic
from lab.runs.outputs import MARK
from lab.stats.paired import RULE

READING = f"""\
{RULE}
Where there are two p-values, that of the log-rank test decides; `later` is how much later b emerges than a, as a share.
Intervals are of 90 %: of means by expanded percentile bootstrap over seeds, of shares exact (Clopper and Pearson).
They do not decide what is found.
All runs of a sweep are measured on the same {{sequences}} sequences; the intervals do not cover their choice."""
"""Notes on how to read a page's tables."""


def write_joined_page(path: Path, title: str, sections: Sequence[Section], parts: Sequence[Path]) -> Path:
    """Write a page that joins the pages of a study's parts.

    Args:
        path: File of the page.
        title: Heading of the page.
        sections: Sections of the page; links to the parts follow them.
        parts: Pages of the parts, which say how to read the tables and where the numbers come from.

    Raises:
        LabError: If the file cannot be written.
    """
    links = "\n".join(f"- [{part.parent.name}]({Path(os.path.relpath(part, path.parent)).as_posix()})" for part in parts)
    origin = (
        f"Joined by {MARK} from the pages of the parts, which say how to read the tables and where their numbers come from:"
    )
    write_atomic(path, render_markdown(title, [*sections, Section("Where this comes from", f"{origin}\n\n{links}")]))
    return path


def write_page(path: Path, title: str, sections: Sequence[Section], runs: Sequence[Run]) -> Path:
    """Write a page.

    Args:
        path: File of the page.
        title: Heading of the page.
        sections: Sections of the page; notes for reading and the origin of the numbers follow them.
        runs: The runs behind the numbers; the page ends with their versions, commits and wall time.

    Raises:
        LabError: If the file cannot be written.
    """
    seconds = sum(float(run.record["wall_seconds"]) for run in runs)
    commits = ", ".join(sorted({str(run.record["commit"]) for run in runs}))
    versions = ", ".join(f"{name} {version}" for name, version in runs[0].record["versions"].items())
    foot = f"{len(runs)} runs, {seconds / 3600:.1f} hours of training in all; code at {commits}; {versions}."
    sequences = sorted({run.experiment.evaluation.examples for run in runs})
    reading = READING.format(sequences=" or ".join(map(str, sequences)))
    last = [Section("How to read the tables", reading), Section("Where this comes from", foot)]
    write_atomic(path, render_markdown(title, [*sections, *last]))
    return path
