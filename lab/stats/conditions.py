"""Conditions, which figures and tables compare. Runs of one condition differ in the seed alone, and each seed counts once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from lab.errors import LabError
from tasks.errors import nearest

MEASURED = ("step", "tokens", "scored_tokens", "sequences", "flops", "seconds", "metric", "value")
"""Columns of a frame that differ within a run."""
DERIVED = ("run", "seed", "parameters", "state", "reached", "trial")
"""Columns that name a run or follow from its settings."""
_BARE = ("arm", "task", "name", "heads", "size", "cell")
"""Settings whose values are clear without the setting's name."""
_NAMED_AT_MOST = 3

Keep = Literal["all", "not diverged", "ended", "finished"]


class Conditions(NamedTuple):
    """The runs of a frame by condition.

    Attributes:
        frame: The rows of the runs that count, with a column `condition` (ordered categories).
        table: One row for each condition, in order: `condition`, and each setting that distinguishes conditions, as text.
        notes: One line for each reason why a run was left out, and for settings that vary with them unnamed.
    """

    frame: pd.DataFrame
    table: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def settings(self) -> list[str]:
        """The settings that distinguish conditions."""
        return list(self.table.columns[1:])


def conditions(
    frame: pd.DataFrame, by: Sequence[str] | None = None, *, axis: Sequence[str] = (), keep: Keep = "all"
) -> Conditions:
    """Assign every run to a condition; runs of different configurations never share one, and no seed counts twice.

    Args:
        frame: A tidy frame.
        by: Columns that distinguish conditions; by default the varied settings that are needed.
        axis: Columns on an axis of a figure: within a condition, runs may differ in settings that these columns show.
        keep: Which runs count: all, those that have not diverged, that ended (finished or diverged), or finished ones. A
            frame without a column `state`, as an older CSV, has finished runs. Of runs with the same configuration and seed
            the furthest counts.

    Raises:
        LabError: If no run counts, `by` names a column in which no runs differ, or runs of a condition differ in other
            settings.
    """
    if frame.empty:
        raise LabError("the runs have no metrics yet")
    _check_names(frame)
    frame, left_out = _select(frame, keep)
    frame, repeated = _drop_repeated(frame)
    runs = frame.drop_duplicates("run").set_index("run", drop=False).rename_axis(None)
    varied = varied_settings(runs)
    named = list(dict.fromkeys(_check_columns(runs, by))) if by is not None else _choose_needed(runs, varied, axis)
    labels, table = _labelled(runs, named)
    require_one_configuration(runs.assign(condition=labels), ["condition", *axis])
    column = pd.Categorical(frame["run"].map(labels), categories=pd.Index(table["condition"]), ordered=True)
    tied = [name for name in varied if by is None and name not in (*named, *axis)]
    tied = [name for name in tied if not (axis and name.startswith("model."))]  # they are what makes the size
    change = f"change{'s' if len(tied) == 1 else ''} with the condition{' or size' if axis else ''}"
    also = [f"{enumerated(tied)} {change}"] if tied else []
    return Conditions(frame.assign(condition=column), table, (*left_out, *repeated, *also))


def labelled(frame: pd.DataFrame, by: Sequence[str]) -> pd.Categorical:
    """Name each row's run by some columns, as conditions are named; runs of different configurations may share a name.

    Raises:
        LabError: If the frame has no such column.
    """
    runs = frame.drop_duplicates("run").set_index("run", drop=False).rename_axis(None)
    labels, table = _labelled(runs, list(dict.fromkeys(_check_columns(runs, by))))
    return pd.Categorical(frame["run"].map(labels), categories=pd.Index(table["condition"]), ordered=True)


def varied_settings(frame: pd.DataFrame) -> list[str]:
    """List the settings in which the runs of a frame differ, without the seed."""
    runs = frame.drop_duplicates("run")
    settings = [name for name in frame.columns if name not in (*MEASURED, *DERIVED, "condition")]
    return [name for name in settings if _texts(runs, [name])[name].nunique() > 1]


def needed_settings(frame: pd.DataFrame, within: Sequence[str] = ()) -> list[str]:
    """List the first varied settings that, with those of `within`, distinguish all configurations of a frame."""
    runs = frame.drop_duplicates("run")
    varied = [name for name in varied_settings(runs) if name not in within]
    return _choose_needed(runs, varied, within) if varied else []


def require_one_configuration(frame: pd.DataFrame, by: Sequence[str]) -> None:
    """Check that runs that agree in some columns agree in all settings, so that averages are over seeds alone.

    Args:
        frame: A tidy frame, or one row for each run.
        by: The columns.

    Raises:
        LabError: Naming the settings in which they differ.
    """
    if "run" not in frame.columns:
        return
    runs = frame.drop_duplicates("run")
    free = [name for name in varied_settings(runs) if name not in by]
    texts = _texts(runs, [*by, *free])
    groups = texts.groupby(list(by), sort=False) if by else [((), texts)]
    for _, part in groups:
        differ = [name for name in free if part[name].nunique() > 1]
        if differ:
            values = [(name, str(part[name].iloc[0])) for name in by]
            words = [value if name == "condition" else _words(name, value, []) for name, value in values if value]
            which = f" with {', '.join(words)}" if words else ""
            raise LabError(
                f"runs{which} differ in {enumerated(differ)} and not in the seed alone:"
                f" compare by {'it' if len(differ) == 1 else 'them'} too, or keep one value"
            )


def rows_of(frame: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """Return the rows of some metrics.

    Raises:
        LabError: If the frame is empty, or no run has one of them.
    """
    if frame.empty:
        raise LabError("the runs have no metrics yet")
    for metric in metrics:
        if not (frame["metric"] == metric).any():
            raise LabError(f"no run has a metric {metric!r}; {nearest(metric, set(frame['metric']))}")
    return frame[frame["metric"].isin(metrics)]


def ended_early(rows: pd.DataFrame) -> pd.Series:
    """Return whether `evaluation.stop` ended the run of each row; a frame may have no column `reached`, or an empty one."""
    if "reached" not in rows:
        return pd.Series(False, index=rows.index)
    return rows["reached"].notna() & (rows["reached"] != "")


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of finished runs; all rows if the frame has no states."""
    return frame[frame["state"] == "finished"] if "state" in frame.columns else frame


def describe_states(frame: pd.DataFrame) -> str:
    """Name the first few runs of a frame with their states and last steps."""
    last = frame.groupby("run", sort=False).agg({"state": "last", "step": "max"})
    return enumerated([f"{run} ({state} at step {step})" for run, state, step in last.itertuples()])


def _check_names(frame: pd.DataFrame) -> None:
    """Reject a frame in which two runs have one name, as two frames put together.

    Raises:
        LabError: Naming the run.
    """
    fixed = [name for name in frame.columns if name not in MEASURED]
    twice = frame.drop_duplicates(fixed)["run"]
    again = twice[twice.duplicated()].tolist() or frame.loc[frame.duplicated(["run", "step", "metric"]), "run"].tolist()
    if again:
        raise LabError(f"two runs of the frame have the name {again[0]!r}: open their folders together, or rename them (run)")


def _select(frame: pd.DataFrame, keep: Keep) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the runs that count, and a line about those that do not."""
    if keep == "all" or "state" not in frame.columns:
        return frame, []
    states = {"ended": ["finished", "diverged"], "finished": ["finished"]}.get(keep)
    counts = frame["state"].isin(states) if states else frame["state"] != "diverged"
    if counts.all():
        return frame, []
    out = frame[~counts]
    line = f"{out['run'].nunique()} of {frame['run'].nunique()} runs left out: {describe_states(out)}"
    if not counts.any():
        raise LabError(f"{'no run is finished' if keep == 'finished' else 'every run has diverged'}: {line}")
    return frame[counts], [line]


def _drop_repeated(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows without further runs of the same configuration and seed, and a line that names those."""
    runs = frame.drop_duplicates("run").set_index("run", drop=False).rename_axis(None)
    texts = _texts(runs, [*varied_settings(runs), "seed"])
    if not texts.duplicated().any():
        return frame, []
    unfinished = pd.Series("state" in runs.columns and runs["state"] != "finished", index=runs.index)
    rank = pd.DataFrame({"unfinished": unfinished, "left": -frame.groupby("run")["step"].max(), "name": runs.index})
    texts = texts.loc[rank.sort_values(["unfinished", "left", "name"]).index]
    counted = {tuple(key): run for run, *key in texts.drop_duplicates().itertuples(name=None)}
    again = {run: counted[tuple(key)] for run, *key in texts[texts.duplicated()].itertuples(name=None)}
    which = enumerated([f"{run} (as {other})" for run, other in sorted(again.items())])
    return frame[~frame["run"].isin(list(again))], [f"same configuration and seed again, counted once: {which}"]


def _labelled(runs: pd.DataFrame, names: Sequence[str]) -> tuple[pd.Series, pd.DataFrame]:
    """Return the name of each run's combination of some columns, and a table of the combinations in order."""
    texts = _texts(runs, names)
    labels = pd.Series(labels_of(texts), index=runs.index, dtype=object)
    ranks = pd.DataFrame({name: texts[name].map(_ranks(runs, name)) for name in names}).sort_values(list(names), kind="stable")
    table = texts.assign(condition=labels).loc[ranks.index, ["condition", *names]].drop_duplicates(ignore_index=True)
    return labels, table


def _check_columns(runs: pd.DataFrame, by: Sequence[str]) -> Sequence[str]:
    for name in by:
        if name not in runs.columns or name in MEASURED:
            raise LabError(f"the runs do not differ in {name!r}; {nearest(name, [*varied_settings(runs), 'n_future'])}")
    return by


def _choose_needed(runs: pd.DataFrame, varied: Sequence[str], axis: Sequence[str]) -> list[str]:
    """Choose the first varied settings that, with the axis, distinguish all configurations."""
    texts = _texts(runs, [*varied, *axis]).assign(**{"": ""})
    chosen = [name for name in ("n_future",) if name in varied]
    for name in varied:
        groups, finer = (texts.groupby(["", *names]).ngroups for names in ([*chosen, *axis], [*chosen, *axis, name]))
        if finer > groups:
            chosen.append(name)
    return chosen or ["n_future"]


def _texts(runs: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return columns as text, equal for equal values of any type; "" where a value is missing."""
    return pd.DataFrame({name: [_text(value) for value in runs[name]] for name in names}, index=runs.index)


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column with gaps is a column of floats
    return str(value) or "''"


def labels_of(texts: pd.DataFrame) -> list[str]:
    """Name each row of a table of settings, as `n = 2, detached = True`; with dotted names where short ones are ambiguous."""
    rows = list(texts.itertuples(index=False, name=None))
    last = [name.rpartition(".")[2] for name in texts.columns]
    full = [name for name in texts.columns if last.count(name.rpartition(".")[2]) > 1]
    labels = [_label(list(texts.columns), values, full) for values in rows]
    if len(set(labels)) == len(set(rows)):
        return labels
    return [
        ", ".join(f"{name} = {value or 'none'}" for name, value in zip(texts.columns, values, strict=True)) for values in rows
    ]


def _label(names: Sequence[str], values: Sequence[str], full: Sequence[str]) -> str:
    words = [_words(name, value, full) for name, value in zip(names, values, strict=True) if value]
    return ", ".join(words) or f"no {names[0].rpartition('.')[2]}"


def _words(name: str, value: str, full: Sequence[str]) -> str:
    if name == "n_future":
        return f"n = {value}"
    last = name if name in full else name.rpartition(".")[2]
    bare = last in _BARE and not value.replace(".", "").isdigit() and value not in ("True", "False")
    return value if bare else f"{last.replace('_', ' ')} = {value}"


def _ranks(runs: pd.DataFrame, name: str) -> dict[str, int]:
    """Rank the values of a column: missing first, numbers by size, categories in their order."""
    column = runs[name]
    ordered = isinstance(column.dtype, pd.CategoricalDtype)
    values = list(column.cat.categories) if ordered else sorted(column.unique(), key=_key)
    return {"": -1} | {_text(value): place for place, value in enumerate(values)}


def _key(value: object) -> tuple[int, float, str]:
    if _text(value) == "":
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, (bool, int, float, np.number, np.bool_)) else (2, 0.0, str(value))


def enumerated(names: Sequence[str]) -> str:
    """List some names in words, the first few of many."""
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
