"""A page about any runs: settings, progress, learning curves, tables and comparisons by condition."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from lab.config import Experiment
from lab.config.files import flat
from lab.errors import LabError
from lab.reports.conditions import condition_sections, curve_sections
from lab.reports.section import Link, Section
from lab.runs import Run
from lab.runs.status import PENDING, RESULTLESS, Status, duration, seconds_left
from lab.stats.bootstrap import counted
from tasks.errors import nearest

READING = """\
In brackets: 90 % intervals over seeds, of means by expanded percentile bootstrap and of shares exact (Clopper and Pearson); \
with fewer than five seeds the single values stand there.
Intervals show a size and do not decide what is found: the exact test does, corrected for the number of comparisons.
A threshold is reached at the first of two evaluation points in a row at or above it; a run that never got there is \
censored, not dropped."""
_MAIN = (
    *("n_future", "model.layers", "model.width", "model.n_heads", "model.heads", "objective.name"),
    *("steps", "batch_size", "optimiser.peak_lr", "seed"),
)
"""Settings that a reader wants to know first."""


@dataclass(frozen=True)
class Origin:
    """The origin of a page.

    Attributes:
        folder: Folder of the page, from which its links lead.
        command: The command or call that makes it.
        total: Number of runs that there will be; 0 if no more than exist.
        tables: Files of CSV to link to, as a sweep's tables.
        refresh: Seconds after which the page is written again; 0 for never.
    """

    folder: Path
    command: str
    total: int = 0
    tables: Sequence[Path] = ()
    refresh: int = 0

    def link(self, path: Path, text: str = "") -> Link:
        """Return a link to a file from the page's folder."""
        target = os.path.relpath(path.resolve(), self.folder.resolve())
        return Link(text or path.name, quote(target.encode(errors="surrogateescape")))


def sections_of(
    statuses: Sequence[Status], origin: Origin, metric: str = "", by: Sequence[str] | None = None
) -> tuple[str, list[Section]]:
    """Return title and sections of the page about some runs.

    Args:
        statuses: Of the runs; those of one task that differ in a setting are conditions, never seeds of one another.
        origin: Of the page.
        metric: What is drawn and compared; by default each task's headline metric.
        by: Settings that distinguish conditions; by default those that vary.

    Raises:
        LabError: If no run has the metric, or runs of one condition differ in other settings.
    """
    check_metric(statuses, metric)
    runs, tasks = [each.run for each in statuses if each.run is not None], _by_task(statuses)
    sections = [_progress(statuses, origin), *_trained(runs)]
    for task, own in tasks.items():
        sections += condition_sections(own, metric, by, heading=task if len(tasks) > 1 else "")
    sections += [*_without_result(statuses), _all_runs(statuses, origin), *_fixed(runs)]
    sections += [Section("How to read this page", READING), _made(runs, origin)]
    name = ", ".join(task.partition(":")[2] or task for task in tasks) or "Runs"
    return f"{name}: {counted(max(len(statuses), origin.total), 'run')}", sections


def live_sections(statuses: Sequence[Status], total: int, metric: str = "", by: Sequence[str] | None = None) -> list[Section]:
    """Return the sections that change while runs train: progress, curves, a line for each; arguments as of `sections_of`."""
    check_metric(statuses, metric)
    curves = [section for own in _by_task(statuses).values() for section in curve_sections(own, metric, by)]
    origin = Origin(Path(), "", total)
    return [_progress(statuses, origin), *curves, Section(table=_run_table(statuses, metric))]


def _by_task(statuses: Sequence[Status]) -> dict[str, list[Status]]:
    found: dict[str, list[Status]] = {}
    for each in statuses:
        if each.run is not None:
            found.setdefault(each.run.experiment.task.name, []).append(each)
    return found


def check_metric(statuses: Sequence[Status], metric: str) -> None:
    """Reject a metric that no run has.

    Raises:
        LabError: If there are measurements, and none of this metric.
    """
    names = {row.metric for each in statuses for row in each.rows}
    if metric and names and metric not in names:
        raise LabError(f"no run has a metric {metric!r}; {nearest(metric, names)}")


def progress_sentence(statuses: Sequence[Status], total: int) -> str:
    """Return how many runs are in each state, and how long the others will take."""
    total = max(total, len(statuses))
    counts = pd.Series([each.state for each in statuses] + ["waiting"] * (total - len(statuses)), dtype=object).value_counts()
    order = ("finished", "running", "waiting", *RESULTLESS)
    states = ", ".join(f"{counts[state]} {state}" for state in order if state in counts)
    left = seconds_left(statuses, total)
    return f"{counted(total, 'run')}: {states}" + ("" if left is None else f"; about {duration(left)} left")


def _progress(statuses: Sequence[Status], origin: Origin) -> Section:
    total = max(origin.total, len(statuses))
    pending = len(statuses) < total or any(each.state in PENDING for each in statuses)
    share = sum(each.share for each in statuses) / total if pending else None
    text = f"{progress_sentence(statuses, total)}."
    if origin.refresh:
        text += f" This page reloads every {origin.refresh} s; written at {datetime.now():%H:%M:%S}."
    return Section(text=text, share=share)


def _without_result(statuses: Sequence[Status]) -> list[Section]:
    """List runs that ended without a result, with the reason."""
    rows = [
        {
            "run": each.name,
            "state": each.state,
            "step": f"{each.step} of {each.steps}" if each.steps else "-",
            "why": each.error,
        }
        for each in statuses
        if each.state in RESULTLESS
    ]
    return [Section("Runs without a result", table=pd.DataFrame(rows))] if rows else []


def _trained(runs: Sequence[Run]) -> list[Section]:
    """State the task, the settings that vary and those that are fixed."""
    if not runs:
        return []
    experiments = [run.experiment for run in runs]
    values = _settings(experiments)
    varied = {name: each for name, each in values.items() if len(each) > 1 and name not in ("seed", "task.name")}
    facts = {f"task {task.name}": task.summary for task in {each.task.name: each.task for each in experiments}.values()}
    facts["vary"] = "; ".join(f"`{name}`: {_listed(each)}" for name, each in varied.items()) or "nothing but the seed"
    facts["seeds"] = _listed(values["seed"])
    fixed = [f"`{name}`: {next(iter(values[name]))}" for name in _MAIN if name in values and len(values[name]) == 1]
    facts["fixed"] = "; ".join(name for name in fixed if not name.startswith("`seed`"))
    sizes = sorted({int(run.record["non_embedding_parameters"]) for run in runs})
    facts["parameters"] = f"{_range([f'{size:,}' for size in sizes])} without embeddings"
    table = pd.DataFrame(list(facts.items()), columns=["", ""])
    return [Section("What was trained", table=table)]


def _settings(experiments: Iterable[Experiment]) -> dict[str, dict[str, None]]:
    """Return the values of each setting as text, in the order of runs."""
    values: dict[str, dict[str, None]] = {}
    for experiment in experiments:
        for name, value in flat(experiment.model_dump(mode="json")).items():
            values.setdefault(name, {})[str(value)] = None
    return values


def _listed(values: Iterable[str], most: int = 8) -> str:
    """List values by size where they are numbers, the first and last of many."""
    try:
        ordered = sorted(values, key=float)
    except ValueError:
        ordered = sorted(values)
    return ", ".join(ordered) if len(ordered) <= most else f"{ordered[0]} to {ordered[-1]} ({len(ordered)} values)"


def _range(sizes: Sequence[str]) -> str:
    return sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _fixed(runs: Sequence[Run]) -> list[Section]:
    values = _settings(run.experiment for run in runs)
    rows = [(name, next(iter(each))) for name, each in values.items() if len(each) == 1]
    return [Section("All settings that no run changes", table=pd.DataFrame(rows, columns=["setting", "value"]), folded=True)]


def _run_table(statuses: Sequence[Status], metric: str = "") -> pd.DataFrame:
    """Return a row for each run: its progress and last value."""
    rows = []
    for each in statuses:
        curve, left = each.curve(metric), each.seconds_left
        rows.append(
            {
                "run": each.name,
                "state": each.state,
                "step": f"{each.step}/{each.steps}",
                "metric": metric or each.metric or "-",
                "value": f"{curve[-1]:.3f}" if curve else "-",
                "time": duration(max(each.seconds.values())) if each.seconds else "-",
                "left": "-" if left is None else duration(left),
            }
        )
    table = pd.DataFrame(rows, columns=["run", "state", "step", "metric", "value", "time", "left"])  # also without a run
    return table.drop(columns="left") if (table["left"] == "-").all() else table


def _all_runs(statuses: Sequence[Status], origin: Origin) -> Section:
    """List all runs with links to their folders and tables."""
    table = _run_table(statuses)
    table["run"] = [each.name if each.run is None else origin.link(each.run.path, each.name) for each in statuses]
    table["numbers"] = ["-" if each.run is None else origin.link(each.run.path / "metrics.csv") for each in statuses]
    return Section(f"All {counted(len(table), 'run')}", table=table, folded=True)


def _made(runs: Sequence[Run], origin: Origin) -> Section:
    """State date, command, commits, versions and files."""
    facts: dict[str, object] = {"written": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z} by `{origin.command}`"}
    if runs:
        seconds = sum(float(run.record["wall_seconds"]) for run in runs)
        last = max(run.last_written for run in runs)
        facts["trained"] = f"last output {last:%Y-%m-%d %H:%M}; {duration(seconds)} of wall time in all runs"
        facts["commit"] = ", ".join(sorted({str(run.record.get("commit")) for run in runs}))
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in runs[-1].record.get("versions", {}).items())
    for path in origin.tables:
        facts[path.name] = origin.link(path)
    return Section("Where this comes from", table=pd.DataFrame(list(facts.items()), columns=["", ""], dtype=object))
