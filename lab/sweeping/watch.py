"""Runs watched until all have ended: in a terminal, in a notebook, and as a page that a browser reloads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab import plots
from lab.metrics import Metric
from lab.processes import in_notebook
from lab.reports.overview import check_metric, live_sections, progress_sentence
from lab.reports.section import body_html
from lab.runs.notebook import Output
from lab.runs.sparkline import sparkline
from lab.runs.status import Status, duration
from lab.sweeping.report import check_page, write_page
from lab.sweeping.sources import Found, Snapshot, Sources, find

SETTLED_SECONDS, PATIENCE_SECONDS = 3.0, 60.0
"""How long no run may run before all have ended: between two runs of a command, and while runs of a sweep wait."""
_PAUSE_RATIO = 10
"""Least ratio of a pause to the time of the read before it, so that training keeps the processor."""
_CURVE = 24
"""Characters of a curve in a terminal."""
_REASONS = 10
"""Most runs below a table in a terminal, each with the reason why it has no result."""
_COLOURS = {"running": "green", "finished": "dim", "failed": "red", "diverged": "red", "killed": "red", "damaged": "red"}
View = Callable[[Snapshot], object]
"""Shows the status of runs at one moment."""


def watch(
    runs: Sources,
    out: Path | str | None = None,
    *,
    metric: str = "",
    by: Sequence[str] | None = None,
    storage: str | None = None,
    every: float = 5.0,
    console: Console | None = None,
) -> None:
    """Show runs with their learning curves until all have ended; in a notebook the picture changes in place.

    Args:
        runs: Runs, folders of runs, sweeps (YAML file or folder), or results of `lab.sweep`.
        out: A page to rewrite at every change, `.html`, which a browser reloads by itself; see `lab.report`.
        metric: What is shown; by default each task's headline metric.
        by: Settings that distinguish conditions; by default all that vary.
        storage: URL of the sweeps' storage; by default a journal beside their runs.
        every: Seconds between two reads of the runs; more where reading takes long.
        console: Where to show the runs outside of a notebook; by default standard output.

    Raises:
        LabError: As `lab.report`.
        KeyboardInterrupt: After Ctrl-C, but not in a notebook. Runs are not affected.
    """
    path = None if out is None else Path(out)
    if path is not None:
        check_page(path, force=True)
    found = find(runs, storage)
    page = None if path is None else Page(found, path, "lab.watch(...)", metric, by, every)
    if not in_notebook():
        watch_runs(found, console or Console(), page, metric=metric, every=every)
        return
    try:
        _show_all(found, notebook_view(metric, by), page, every)
    except KeyboardInterrupt:
        return


def watch_runs(
    found: Found,
    console: Console,
    page: Page | None,
    *,
    metric: str = "",
    every: float = 5.0,
    unread: Callable[[], bool] = lambda: False,
) -> None:
    """Show runs in a terminal as a table that changes in place, elsewhere as plain lines, until all have ended.

    Args:
        found: The runs.
        console: Where to show them.
        page: Also written, if it is given.
        metric: As of `watch`.
        every: As of `watch`.
        unread: Whether nobody reads the console any more, which ends the watch if there is no page.

    Raises:
        KeyboardInterrupt: After Ctrl-C. Runs are not affected.
    """
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    context: AbstractContextManager[object] = live or nullcontext()
    with context:
        view = line_view(console, metric) if live is None else table_view(live, console, metric)
        _show_all(found, view, page, every, unread)


def _show_all(found: Found, view: View, page: Page | None, every: float, unread: Callable[[], bool] = lambda: False) -> None:
    before: list[tuple[str, str, int]] | None = None
    try:
        for snapshot in follow(found, every):
            if page is not None and snapshot.progress != before:
                page.write(snapshot)
            before = snapshot.progress
            view(snapshot)
            if page is None and unread():
                return
    finally:
        if page is not None and before is not None:
            page.write(found.read(), live=False)


def follow(found: Found, every: float) -> Iterator[Snapshot]:
    """Yield the status of runs repeatedly until no process trains one of them and none will."""
    idle, seen = time.monotonic() - found.silent_seconds, False
    while True:
        began = time.monotonic()
        snapshot = found.read()
        yield snapshot
        if snapshot.running:
            idle, seen = math.inf, True
        else:
            idle = min(idle, began)
        patience = PATIENCE_SECONDS if snapshot.waiting else SETTLED_SECONDS if seen else 0.0
        if began - idle >= patience:
            return
        pause = every if snapshot.running else min(every, patience)
        time.sleep(max(pause, _PAUSE_RATIO * (time.monotonic() - began)))


class Page:
    """A page that is rewritten while runs change.

    Args:
        found: The runs.
        path: Of the page.
        command: The command or call that makes it.
        metric: As of `watch`.
        by: As of `watch`.
        every: Seconds between two reads.
    """

    def __init__(self, found: Found, path: Path, command: str, metric: str, by: Sequence[str] | None, every: float) -> None:
        self._found, self._path, self._command = found, path, command
        self._options: dict[str, Any] = {"metric": metric, "by": by}
        self._refresh = max(1, round(every))

    def write(self, snapshot: Snapshot, *, live: bool = True) -> None:
        """Write the page, which a browser reloads as long as it is `live`.

        Raises:
            LabError: If it cannot be written, or for a wrong metric or setting.
        """
        refresh = self._refresh if live else 0
        write_page(self._found, snapshot, self._path, self._command, refresh=refresh, **self._options)


def line_view(console: Console, metric: str = "") -> View:
    """Return a view that prints a line for each run that has something new."""
    shown: dict[str, tuple[str, int]] = {}

    def view(snapshot: Snapshot) -> None:
        check_metric(snapshot.statuses, metric)
        for each in snapshot.statuses:
            if each.state == "waiting" or shown.get(each.name) == (each.state, each.step):
                continue
            shown[each.name] = (each.state, each.step)
            name, value, _, left = _cells(each, metric)
            words = [each.name, each.state, f"step {each.step}/{each.steps}", f"{name} {value}".strip()]
            words += [f"{left} left" if left else each.error]
            console.out("  ".join(filter(None, words)), highlight=False)

    return view


def table_view(live: Live, console: Console, metric: str = "") -> View:
    """Return a view that draws a table with a line for each run, those that run first."""
    ascii_only = not console.encoding.lower().startswith("utf")

    def view(snapshot: Snapshot) -> None:
        check_metric(snapshot.statuses, metric)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("run", overflow="fold")
        table.add_column("state", no_wrap=True)
        table.add_column("step", justify="right", no_wrap=True)
        table.add_column("metric", overflow="ellipsis", no_wrap=True)
        for title, justify in (("value", "right"), ("curve", "left"), ("left", "right")):
            table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for each in sorted(snapshot.statuses, key=lambda each: each.state != "running"):
            name, value, curve, left = _cells(each, metric, ascii_only=ascii_only)
            state = Text(each.state, style=_COLOURS.get(each.state, ""))
            table.add_row(Text(each.name), state, f"{each.step}/{each.steps}", Text(name), value, curve, left)
        why = [Text(f"{each.name}: {each.error}") for each in snapshot.statuses if each.error]
        more = [Text(f"and {len(why) - _REASONS} more")] if len(why) > _REASONS else []
        sentence = Text(progress_sentence(snapshot.statuses, snapshot.total))
        live.update(Group(sentence, table, *why[:_REASONS], *more), refresh=True)

    return view


def _cells(status: Status, metric: str, *, ascii_only: bool = False) -> tuple[str, str, str, str]:
    """Return name, last value and curve of a run's metric, and the time that it has left."""
    name, values, left = metric or status.metric, status.curve(metric), status.seconds_left
    if not values:
        return name, "", "", ""
    bounded = Metric.parse(name).unit == "fraction"
    low, high = (0.0, 1.0) if bounded else (min(values), max(values))
    width = max(1, round(_CURVE * status.step / status.steps)) if status.steps else 1
    curve = sparkline(values, low, high, min(_CURVE, width), ascii_only=ascii_only)
    return name, f"{values[-1]:.3f}", curve, "" if left is None else duration(left)


def notebook_view(metric: str = "", by: Sequence[str] | None = None) -> View:
    """Return a view that draws curves and a table in the output of a notebook's cell, in place of those before."""
    output = Output()
    before: list[tuple[str, str, int]] = []

    def view(snapshot: Snapshot) -> None:
        if snapshot.progress != before:
            before[:] = snapshot.progress
            with plots.style():
                sections = live_sections(snapshot.statuses, snapshot.total, metric, by)
                output.show(body_html(sections), progress_sentence(snapshot.statuses, snapshot.total))

    return view
