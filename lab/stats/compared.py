"""Compare the conditions of a study with one of them: means, effects over pairs of seeds, and exact tests, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from lab.errors import LabError
from lab.metrics import Metric
from lab.stats.bootstrap import counted
from lab.stats.conditions import (
    Conditions,
    conditions,
    ended_early,
    enumerated,
    labelled,
    needed_settings,
    rows_of,
    varied_settings,
)
from lab.stats.configurations import Rule, comparison_table, configuration_table, finished_with, run_values
from lab.stats.emergence import emergence_table, escape_table
from lab.stats.solved import notes_on_solved, solved_table
from lab.stats.survival import median_time, survival_comparisons
from tasks.errors import nearest

_KEYS = ["within", "condition"]
_NO_SETTINGS = ("run", "seed", "state", "reached", "trial")
"""Columns of a frame that cannot distinguish conditions."""
_EQUALLY_LONG = 1.05
"""Ratio of the tokens of two conditions up to which their runs count as equally long."""


class Compared(NamedTuple):
    """The conditions of a study, compared.

    Attributes:
        table: One row for each condition, separately for each value of `within`, in order: the settings of `within` and `by`,
            `within` and `condition` (both in words), `against` (the condition that it is compared with; "" for that one itself
            and for one that shares no seed with it), `runs`, then the columns of `compare_ends` or `compare_times`.
        by: The settings that distinguish conditions.
        baseline: The condition that the others are compared with.
        notes: One line for each reason why a run was left out, and for other settings that change with the condition.
    """

    table: pd.DataFrame
    by: tuple[str, ...]
    baseline: str
    notes: tuple[str, ...]


class _Study(NamedTuple):
    """The runs that count, by condition.

    Attributes:
        rows: Their rows, with `within` and `condition` in words as ordered categories.
        by: Settings that distinguish conditions.
        within: Settings in which compared runs agree.
        baseline: The condition that the others are compared with.
        notes: About the runs that were left out.
    """

    rows: pd.DataFrame
    by: Sequence[str]
    within: Sequence[str]
    baseline: str
    notes: tuple[str, ...]


def compare_ends(
    frame: pd.DataFrame,
    metric: str,
    by: Sequence[str] | None = None,
    *,
    within: Sequence[str] = (),
    baseline: object = None,
    rule: Rule = "last",
    solved: float | None = None,
) -> Compared:
    """Compare the end values of finished runs over pairs of seeds.

    Args:
        frame: A tidy frame.
        metric: Name of the metric, such as `accuracy/copy/1`.
        by: Settings that distinguish conditions; by default the one setting that varies.
        within: Settings in which compared runs agree, such as `model.width`.
        baseline: The condition that the others are compared with, by its value of `by` or its name; by default the first.
        rule: Which evaluation of a run counts, see `lab.stats.configurations.run_values`.
        solved: Value from which on a run counts as solved (of a loss up to which); by default none is counted.

    Returns:
        A table with `mean` over the runs and its 90 % interval `mean_low`, `mean_high` (NaN below five seeds), the columns of
        `lab.stats.solved.solved_table` if `solved` is given, `pairs`,
        `difference` (mean over pairs of this condition less the baseline), its 90 % interval `low`, `high`, `p_value`
        (two-sided sign-flip test), `p_holm` (corrected over all rows), `p_least` (the least that this can be), `found`.

    Raises:
        LabError: If runs of a condition differ in other settings than the seed, no two conditions share a seed, or a name is
            wrong.
    """
    by = _distinguishing(rows_of(frame, metric), by, within)
    study = _study(finished_with(frame, metric, rule, [*by, *within]), by, within, baseline)
    values = run_values(study.rows, metric, rule).astype(dict.fromkeys(_KEYS, "str"))
    means = configuration_table(values, _KEYS)
    means = means.rename(columns={"low": "mean_low", "high": "mean_high", "seeds": "runs"})
    compared = comparison_table(values, "condition", study.baseline, within=["within"])
    early = int(ended_early(values).sum())
    notes = [f"{counted(early, 'run')} ended early (evaluation.stop), with the value of their own end"] if early else []
    means = means[[*_KEYS, "runs", "mean", "mean_low", "mean_high"]]
    if solved is not None:
        found = conditions(rows_of(frame, metric), [*by, *within], keep="ended")
        ended = _named(found, by, within).astype(dict.fromkeys(_KEYS, "str"))
        means = means.merge(solved_table(ended, metric, solved, _KEYS, rule), how="left", on=_KEYS, validate="one_to_one")
        notes += notes_on_solved(ended, metric, solved, rule)
    return _assemble(study, means, compared, notes)


def compare_times(
    frame: pd.DataFrame,
    metric: str,
    threshold: float,
    by: Sequence[str] | None = None,
    *,
    within: Sequence[str] = (),
    baseline: object = None,
) -> Compared:
    """Compare the tokens seen until a metric reaches a threshold; runs that never do are right-censored.

    Args:
        frame: A tidy frame, of which finished and diverged runs count.
        metric: Name of the metric, of which more is better.
        threshold: Value to be reached at two evaluation points in a row.
        by: As `compare_ends`.
        within: As `compare_ends`.
        baseline: As `compare_ends`.

    Returns:
        A table with `emerged`, the number of runs that reached it, their `share`, its exact 90 % interval `share_low`,
        `share_high`, `median` (tokens by which half of the runs had, Kaplan-Meier; NaN if fewer did), then the columns of
        `lab.stats.survival.survival_comparisons` from `p_log_rank` on.

    Raises:
        LabError: As `compare_ends`, and for a metric of which less is better.
    """
    if Metric.parse(metric).lower_is_better:
        raise LabError(f"{metric} falls as a model learns, so that it rises to no threshold: compare its last values")
    own, unknown = _without_numbers(rows_of(frame, metric), metric)
    by = _distinguishing(own, by, within)
    study = _study(conditions(own, [*by, *within], keep="ended"), by, within, baseline)
    rows = study.rows.astype(dict.fromkeys(_KEYS, "str"))
    times = emergence_table(rows, metric, thresholds={"time": threshold}, by=_KEYS)
    shares = escape_table(times, "time", _KEYS)
    shares = shares.rename(columns={"escaped": "emerged", "low": "share_low", "high": "share_high"})
    medians = [(*key, median_time(part["time"].tolist(), part["time_observed"].tolist())) for key, part in times.groupby(_KEYS)]
    shares = shares.merge(pd.DataFrame(medians, columns=[*_KEYS, "median"]), on=_KEYS, validate="one_to_one")
    compared = survival_comparisons(times, "time", "condition", baseline=study.baseline, within=["within"])
    compared = compared.rename(columns={"b": "condition"}).drop(columns=["a", "emerged_a", "runs_a", "emerged_b", "runs_b"])
    shares = shares[[*_KEYS, "runs", "emerged", "share", "share_low", "share_high", "median"]]
    return _assemble(study, shares, compared, [*unknown, *_notes_on_ends(rows, times)])


def _without_numbers(rows: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of diverged runs and of those with a number, and a line about the others, whose times are not known.

    Raises:
        LabError: If no run has a number.
    """
    known = rows.groupby("run")["value"].transform("count") > 0
    if known.all():
        return rows, []
    known |= rows["state"] == "diverged" if "state" in rows else False
    lost = rows.loc[~known, "run"].unique().tolist()
    line = f"{len(lost)} of {rows['run'].nunique()} runs left out, {metric} is never a number: {enumerated(lost)}"
    if not known.any():
        raise LabError(line)
    return rows[known], [line] if lost else []


def _distinguishing(rows: pd.DataFrame, by: Sequence[str] | None, within: Sequence[str]) -> list[str]:
    """Return the settings that distinguish conditions.

    Raises:
        LabError: If they are not given and several are needed, or one of them cannot distinguish conditions.
    """
    for name in (*(by or ()), *within):
        if name in _NO_SETTINGS:
            raise LabError(f"{name} is no setting to compare: conditions differ in settings, and seeds make their pairs")
        if by and name in by and name in within:
            raise LabError(f"{name} cannot both distinguish conditions (by) and be equal in a comparison (within)")
    needed = list(dict.fromkeys(by)) if by else needed_settings(rows, within)
    if not needed:
        raise LabError(f"the runs differ in {' and '.join([*within, 'the seed'])} alone: nothing to compare")
    if len(needed) > 1 and not by:
        raise LabError(f"the runs differ in {', '.join(needed)}: choose the one to compare by, and those to compare within")
    return needed


def _study(found: Conditions, by: Sequence[str], within: Sequence[str], baseline: object) -> _Study:
    """Name the conditions of the runs that count, and the baseline.

    Raises:
        LabError: If there is a single condition, or the baseline is none of them.
    """
    rows = _named(found, by, within)
    names = list(rows["condition"].cat.categories)
    if len(names) < 2:
        raise LabError(f"all runs that count have {names[0]}: nothing to compare")
    each = rows.drop_duplicates("condition")
    known = {str(value): name for value, name in zip(each[by[0]], each["condition"], strict=True)} if len(by) == 1 else {}
    known |= {name: name for name in names}
    wanted = names[0] if baseline is None else str(baseline)
    if wanted not in known:
        raise LabError(f"no condition is the baseline {wanted!r}; {nearest(wanted, names)}")
    return _Study(rows, by, within, known[wanted], found.notes)


def _named(found: Conditions, by: Sequence[str], within: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the runs that count, with `within` and `condition` in words as ordered categories."""
    rows = found.frame.assign(condition=labelled(found.frame, by))
    return rows.assign(within=labelled(rows, within) if within else pd.Categorical([""] * len(rows)))


def _assemble(study: _Study, described: pd.DataFrame, compared: pd.DataFrame, notes: Sequence[str]) -> Compared:
    """Merge the tables that describe conditions and those that compare them, in their order.

    Raises:
        LabError: If nothing was compared.
    """
    if not compared["pairs"].sum():
        raise LabError(f"no run has the seed of a run with {study.baseline}: there are no pairs to compare")
    runs = study.rows.drop_duplicates("run")
    order = runs.drop_duplicates(_KEYS).sort_values(_KEYS)[[*study.within, *study.by, *_KEYS]]
    order = order.astype(dict.fromkeys(_KEYS, "str"))
    against = compared[_KEYS].assign(against=study.baseline)
    table = order
    for part in (against, described, compared):
        table = table.merge(part, on=_KEYS, how="left", validate="one_to_one")
    table["against"] = table["against"].fillna("")
    counts = [name for name in ("pairs", "neither") if name in table]
    table = table.astype({**dict.fromkeys(counts, "Int64"), "found": "boolean"})
    more = (*_notes_on_pairs(study, table), *_notes_on_settings(study))
    return Compared(table, tuple(study.by), study.baseline, (*study.notes, *notes, *more))


def _notes_on_pairs(study: _Study, table: pd.DataFrame) -> list[str]:
    """Name the conditions without a pair, and count the runs that are in none."""
    alone = 0
    for _, part in study.rows.drop_duplicates("run").groupby("within", observed=True):
        base = set(part.loc[part["condition"] == study.baseline, "seed"])
        others = part.loc[part["condition"] != study.baseline, "seed"]
        alone += int((~others.isin(list(base))).sum()) + len(base - set(others))
    without = table[(table["condition"] != study.baseline) & ~(table["pairs"].fillna(0) > 0)]
    names = [", ".join(filter(None, (row["within"], row["condition"]))) for row in without.to_dict("records")]
    notes = [f"no pair of seeds: {enumerated(names)}"] if names else []
    return [*notes, f"{counted(alone, 'run')} without a partner of the same seed: in no difference"] if alone else notes


def _notes_on_settings(study: _Study) -> list[str]:
    """Name the settings that change with the condition and are not compared."""
    runs = study.rows.drop_duplicates("run")
    varied = [varied_settings(part) for _, part in runs.groupby("within", observed=True)]
    tied = sorted({name for names in varied for name in names} - {"within", *study.by, *study.within})
    return [f"{enumerated(tied)} change{'s' if len(tied) == 1 else ''} with the condition"] if tied else []


def _notes_on_ends(rows: pd.DataFrame, times: pd.DataFrame) -> list[str]:
    """Name diverged runs, and conditions whose runs are not equally long, which the log-rank test assumes."""
    runs = rows.drop_duplicates("run")
    diverged = runs.loc[runs["state"] == "diverged", "run"].tolist() if "state" in runs else []
    notes = [f"diverged, so that they never emerge: {enumerated(diverged)}"] if diverged else []
    ends = rows.groupby(_KEYS)["tokens"].max().groupby("within")
    if not times["time_observed"].all() and (ends.max() > _EQUALLY_LONG * ends.min()).any():
        notes.append("runs of some conditions are longer than those of others, and the log-rank test assumes that they are not")
    return notes
