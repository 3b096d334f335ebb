"""The page about runs, written once, or repeatedly while they train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import plots
from lab.reports.overview import Origin, sections_of
from lab.reports.section import HTML_BEGINS, MARKDOWN_BEGINS, render_html, render_markdown
from lab.runs.files import write_atomic
from lab.runs.outputs import check_file
from lab.sweeping.sources import Found, Snapshot, Sources, find

_KINDS = {".html": HTML_BEGINS, ".md": MARKDOWN_BEGINS}


def check_page(out: Path, *, force: bool = False) -> None:
    """Reject the path of a page before any work is done.

    Raises:
        LabError: See `lab.runs.outputs.check_file`.
    """
    check_file(out, tuple(_KINDS), begins=_KINDS.get(out.suffix, ""), force=force)


def report(
    runs: Sources,
    out: Path | str,
    *,
    metric: str = "",
    by: Sequence[str] | None = None,
    storage: str | None = None,
) -> Path:
    """Write one self-contained page about any runs: learning curves, tables and comparisons by condition, and what failed.

    Args:
        runs: Runs, folders of runs, sweeps (YAML file or folder), or results of `lab.sweep`, of any tasks and settings.
        out: The page, `.html` or `.md`; a page of ours is replaced.
        metric: What is drawn and compared; by default each task's headline metric.
        by: Settings that distinguish conditions; by default all that vary, so that runs which differ are never averaged.
        storage: URL of the sweeps' storage; by default a journal beside their runs.

    Returns:
        The path of the page.

    Raises:
        LabError: If there are no runs, no run has the metric, runs of one condition differ, or the page cannot be written.
    """
    path = Path(out)
    check_page(path, force=True)
    found = find(runs, storage)
    write_page(found, found.read(), path, "lab.report(...)", metric=metric, by=by)
    return path


def write_page(
    found: Found,
    snapshot: Snapshot,
    out: Path,
    command: str,
    *,
    metric: str = "",
    by: Sequence[str] | None = None,
    refresh: int = 0,
) -> None:
    """Write the page about runs at one moment; a reader sees the old or the new one, never a part.

    Args:
        found: The runs.
        snapshot: Their status.
        out: The page.
        command: The command or call that makes it.
        metric: As of `report`.
        by: As of `report`.
        refresh: Seconds until it is written again; 0 for never.

    Raises:
        LabError: As `report`.
    """
    origin = Origin(out.parent, command, snapshot.total, found.tables, refresh)
    with plots.style():
        title, sections = sections_of(snapshot.statuses, origin, metric, by)
        if out.suffix == ".md":
            page = f"{MARKDOWN_BEGINS}\n{render_markdown(title, sections)}"
        else:
            page = render_html(title, sections, refresh)
    write_atomic(out, page)
