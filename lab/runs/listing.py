"""Lists of runs: what each is and how far it came, filtered and sorted by any setting, metric or column."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lab.config.files import flat
from lab.config.names import full_name
from lab.config.yaml import read_yaml
from lab.errors import LabError
from lab.runs.layout import EXPERIMENT, is_run
from lab.runs.status import Status, read_statuses
from lab.runs.tables import format_setting
from tasks.errors import nearest

_TESTS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "!=": operator.ne, "=": operator.eq, "<": operator.lt, ">": operator.gt}
)
_CONDITION = re.compile(r"([^<>=!]+)(<=|>=|!=|=|<|>)([^=].*)")


@dataclass(frozen=True)
class ListedRun:
    """A run in a list.

    Attributes:
        path: Its folder.
        status: How far it came.
    """

    path: Path
    status: Status

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Its settings by dotted name; empty if it cannot be read."""
        run = self.status.run
        values = {} if run is None else flat(run.experiment.model_dump(mode="json"))
        return {name: format_setting(value) for name, value in values.items()}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The last value of each of its metrics."""
        return {row.metric: row.value for row in self.status.rows}

    def value(self, name: str) -> Any:
        """Return a column (a key of `COLUMNS`), a setting or the last value of a metric; None where the run has none."""
        if name in COLUMNS:
            return COLUMNS[name].read(self)
        return self.settings.get(full_name(name), self.metrics.get(name))


@dataclass(frozen=True)
class Column:
    """A column of a list of runs.

    Attributes:
        meaning: In words.
        read: Reads its value; None where a run has none.
    """

    meaning: str
    read: Callable[[ListedRun], Any]


def _started(run: ListedRun) -> datetime | None:
    """Return when the file with the settings was written, which no later process writes again."""
    with suppress(OSError):
        return datetime.fromtimestamp((run.path / EXPERIMENT).stat().st_mtime).astimezone()
    return None


def _last(run: ListedRun) -> datetime | None:
    with suppress(OSError, ValueError):  # the folder may be removed meanwhile
        return None if run.status.run is None else run.status.run.last_written
    return None


def _size(run: ListedRun) -> str | None:
    layers, width = (run.settings.get(f"model.{name}") for name in ("layers", "width"))
    return None if layers is None else f"{layers}x{width}"


def _seconds(run: ListedRun) -> float | None:
    opened = run.status.run
    return None if opened is None else max(float(opened.record["wall_seconds"]), *(run.status.seconds or {}).values(), 0.0)


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "run": Column("its folder", lambda run: str(run.path)),
        "task": Column("its task", lambda run: run.settings.get("task.name")),
        "n": Column("number of prediction heads (n_future)", lambda run: run.settings.get("n_future")),
        "size": Column("layers x width", _size),
        "seed": Column("its seed", lambda run: run.settings.get("seed")),
        "step": Column("its last evaluation point", lambda run: None if run.status.run is None else run.status.step),
        "steps": Column("steps that it is to take", lambda run: run.status.steps or None),
        "metric": Column("the headline metric of its task", lambda run: run.status.metric or None),
        "value": Column("the last value of that metric", lambda run: run.metrics.get(run.status.metric)),
        "started": Column("when it began, by the time of its experiment.yaml", _started),
        "duration": Column("wall time in seconds", _seconds),
        "last": Column("when it last wrote a file", _last),
        "state": Column(
            "running, killed, stopped, finished, diverged, pruned, failed; damaged if it cannot be read",
            lambda run: run.status.state,
        ),
        "error": Column("why it has no result, where that is known", lambda run: run.status.error or None),
    }
)
"""The columns of a list of runs, beside their settings and metrics."""


def list_runs(paths: Sequence[Path | str]) -> list[ListedRun]:
    """List the runs in some folders, each once; a run that cannot be read has the state `damaged`.

    Raises:
        LabError: If a folder is missing or holds no run, or no run can be read.
    """
    found: dict[Path, ListedRun] = {}
    for path in map(Path, paths):
        for status in read_statuses(path):
            folder = path if is_run(path) else path / status.name
            found.setdefault(folder.resolve(), ListedRun(folder, status))
    if all(run.status.state == "damaged" for run in found.values()):
        raise LabError(next(iter(found.values())).status.error)
    return list(found.values())


def check_names(runs: Sequence[ListedRun], names: Sequence[str]) -> None:
    """Reject a name that is no column, and no setting or metric of any run.

    Raises:
        LabError: Naming the nearest.
    """
    known = {*COLUMNS, *(name for run in runs for name in (*run.settings, *run.metrics))}
    for name in names:
        if full_name(name) not in known:
            raise LabError(f"no run has {name!r}; {nearest(name, known)}")


def choose_runs(runs: Sequence[ListedRun], conditions: Sequence[str]) -> list[ListedRun]:
    """Return the runs that meet all conditions on columns, settings or metrics: `n_future>1`, `state=killed`, `lr!=0.001`.

    Numbers are compared as numbers, everything else as text; times are written as 2026-11-26 18:20. A run that does not have
    what is compared meets `!=` alone.

    Raises:
        LabError: If a condition cannot be read, its name is unknown, or it orders a number and a text, or true and false.
    """
    chosen = list(runs)
    for condition in conditions:
        parts = _CONDITION.fullmatch(condition.strip())
        if parts is None:
            raise LabError(f"{condition!r} is no condition: it must be NAME=VALUE, with =, !=, <, <=, > or >=")
        name, test, text = parts[1].strip(), parts[2], parts[3].strip()
        check_names(runs, [name])
        wanted = read_yaml(text, condition)
        chosen = [run for run in chosen if _meets(run.value(name), test, wanted, text, condition)]
    return chosen


def _meets(value: Any, test: str, wanted: Any, text: str, condition: str) -> bool:
    if value is None:
        return test == "!="
    if _is_number(value) and _is_number(wanted):
        return _TESTS[test](value, wanted)
    if test not in ("=", "!=") and _is_number(value):
        raise LabError(f"{condition}: {text!r} is not a number")
    if isinstance(value, bool):
        if test not in ("=", "!="):
            raise LabError(f"{condition}: true and false have no order, compare with = or !=")
        return _TESTS[test](value, wanted)
    return _TESTS[test](f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value), text)


def sort_runs(runs: Sequence[ListedRun], name: str, *, descending: bool = False) -> list[ListedRun]:
    """Sort runs by a column, setting or metric; those that have none come last."""
    having = [run for run in runs if _is_known(run.value(name))]
    numbers = all(_is_number(run.value(name)) for run in having)
    ordered = sorted(having, key=lambda run: run.value(name) if numbers else str(run.value(name)), reverse=descending)
    return [*ordered, *(run for run in runs if not _is_known(run.value(name)))]


def _is_known(value: Any) -> bool:
    return value is not None and value == value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
