"""The sections about the conditions of one task: learning curves, survival, a table, paired comparisons, the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.errors import LabError
from lab.metrics import Metric, in_variant
from lab.plots.axes import metric_label
from lab.reports.section import Section
from lab.runs.names import shared_lines
from lab.runs.run import tabulate
from lab.runs.status import Status
from lab.stats.bootstrap import FEWEST, counted, mean_beside_share, share_with_interval
from lab.stats.conditions import Conditions, conditions, rows_of
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import COMPLETION, ONSET, emergence_table
from lab.stats.paired import ALPHA, corrected, least_p_of_pairs
from lab.stats.times import compare_emergence

DRAWN_AT_MOST = 12
"""Conditions in a figure; of more the best are drawn."""
_LEFT_OUT = ("pruned", "failed")
"""States of runs that are no part of a curve, since their ends depend on it."""
Title = Callable[[str], str]
"""Makes the title of a section from its words."""
_THRESHOLDS: Mapping[str, float] = {"onset": ONSET, "completion": COMPLETION}


@dataclass(frozen=True)
class _Found:
    """The conditions of one task.

    Attributes:
        conditions: All runs that are drawn, also those that go on.
        ended: The rows of runs that finished or diverged.
        metric: What is drawn and compared.
        label: The metric in words.
        times: When each run that ended passed the thresholds; None for a metric without them.
    """

    conditions: Conditions
    ended: pd.DataFrame
    metric: str
    label: str
    times: pd.DataFrame | None

    @property
    def settings(self) -> list[str]:
        """The settings that distinguish conditions."""
        return self.conditions.settings

    @property
    def finished(self) -> pd.DataFrame:
        """The value at the end of each finished run."""
        return run_values(self.ended, self.metric)


def condition_sections(
    statuses: Sequence[Status], metric: str = "", by: Sequence[str] | None = None, heading: str = ""
) -> list[Section]:
    """Return the sections about the runs of one task.

    Args:
        statuses: Of its runs.
        metric: What is drawn and compared, where these runs have it; by default the task's headline metric.
        by: Settings that distinguish conditions; by default those that vary.
        heading: Begins the titles of the sections; "" where there is one task.

    Raises:
        LabError: If runs of one condition differ in other settings.
    """

    def title(words: str) -> str:
        return f"{heading}: {words}" if heading else f"{words[0].upper()}{words[1:]}"

    curves, found = _curve_sections(statuses, metric, by, title)
    if found is None:
        return curves
    return [*curves, *_survival(found, title), *_ends(found, title), *_comparisons(found, title), *_best(found, title)]


def curve_sections(statuses: Sequence[Status], metric: str = "", by: Sequence[str] | None = None) -> list[Section]:
    """Return the learning curves of one task's runs, on the task and on its variants; arguments as of `condition_sections`."""
    return _curve_sections(statuses, metric, by, str.capitalize)[0]


def _curve_sections(
    statuses: Sequence[Status], metric: str, by: Sequence[str] | None, title: Title
) -> tuple[list[Section], _Found | None]:
    shown = [each for each in statuses if each.rows and each.state not in _LEFT_OUT]
    measured = [(each.run, each.rows) for each in shown if each.run is not None]
    if not measured:
        return [Section(title("learning curves"), "No run has been measured yet.")], None
    tidy = tabulate(measured)
    tidy["state"] = tidy["run"].map(dict(zip(tidy["run"].unique(), [each.state for each in shown], strict=True)))
    found = _find(tidy, metric if metric in set(tidy["metric"]) else shown[0].metric, by)
    experiments = [run.experiment for run, _ in measured]
    lines = shared_lines(experiments, found.metric)
    sections = [_curves(found, tidy, found.metric, title("learning curves"), lines)]
    for variant in experiments[0].task.variants():
        if (tidy["metric"] == (name := in_variant(variant, found.metric))).any():
            sections.append(_curves(found, tidy, name, title(f"on the variant {variant}"), {}))
    return sections, found


def _find(tidy: pd.DataFrame, metric: str, by: Sequence[str] | None) -> _Found:
    found = conditions(rows_of(tidy, metric), by)
    ended = found.frame[found.frame["state"].isin(["finished", "diverged"])].astype({"condition": "str"})
    parsed = Metric.parse(metric)
    times = None
    if not parsed.lower_is_better and parsed.unit == "fraction" and not ended.empty:
        try:
            times = emergence_table(ended, metric, thresholds=_THRESHOLDS, by=["condition"])
        except LabError:  # runs that ended early, before a threshold
            times = None
    return _Found(found, ended, metric, metric_label(metric, tidy, width=200), times)


def _draw(title: str, text: str, draw: Callable[[], tuple[Figure, pd.DataFrame]]) -> Section:
    """Return a section with a figure, or with the reason why it cannot be drawn."""
    try:
        figure, numbers = draw()
    except LabError as error:
        return Section(title, f"No figure yet: {error}.")
    return Section(title, text, figure=figure, numbers=numbers)


def _curves(found: _Found, tidy: pd.DataFrame, metric: str, title: str, lines: Mapping[str, float]) -> Section:
    label, shown, table = metric_label(metric, tidy, width=200), found.conditions.frame, found.conditions.table
    text = f"{label[0].upper()}{label[1:]}, against training tokens seen."
    if len(table) > DRAWN_AT_MOST:
        last = shown.sort_values("step").groupby("run").tail(1).groupby("condition", observed=True)["value"].mean()
        best = last.sort_values(ascending=Metric.parse(found.metric).lower_is_better).index[:DRAWN_AT_MOST]
        shown = shown[shown["condition"].isin(best)]
        text += f" The best {DRAWN_AT_MOST} of {len(table)} conditions by the last value."
    frame = tidy[tidy["run"].isin(shown["run"])]
    return _draw(title, text, lambda: plots.emergence(frame, metric, by=found.settings, lines=lines))


def _survival(found: _Found, title: Title) -> list[Section]:
    """Draw the share of runs below one half, where some run has passed it and was watched before."""
    if found.times is None or len(found.conditions.table) > DRAWN_AT_MOST:
        return []
    if not (found.times["onset_observed"].astype(bool) & (found.times["onset"] > 0)).any():
        return []
    frame = found.ended.drop(columns="condition")
    text = f"Share of runs whose {found.label} is still below {100 * ONSET:.0f} %."
    return [_draw(title("survival"), text, lambda: plots.survival(frame, found.metric, threshold=ONSET, by=found.settings))]


def _ends(found: _Found, title: Title) -> list[Section]:
    """Return a row for each condition: its settings, runs, times and the value at the end."""
    finished = found.finished
    total = found.conditions.frame.groupby("condition", observed=True)["run"].nunique()
    rows = []
    for condition in found.conditions.table.to_dict("records"):
        name = condition.pop("condition")
        values = finished.loc[finished["condition"] == name, "value"].dropna().tolist()
        passed = pd.DataFrame() if found.times is None else found.times[found.times["condition"] == name]
        escaped = passed["onset_observed"].astype(bool).tolist() if len(passed) else []
        row: dict[str, object] = {str(setting): value or "-" for setting, value in condition.items()}
        row["finished"] = f"{len(values)} of {total[name]}"
        row["at the end"] = mean_beside_share(values, escaped) if values else "-"
        for which, threshold in _THRESHOLDS.items() if len(passed) else ():
            seen = passed[f"{which}_observed"].astype(bool)
            row[f"reach {100 * threshold:.0f} %"] = share_with_interval(seen.tolist())
            row[f"k tokens to {100 * threshold:.0f} %"] = f"{passed[which].mean() / 1000:,.0f}" if seen.all() else "-"
        rows.append(row)
    text = f"At the end: {found.label}, mean over the finished runs."
    if found.times is not None:
        text += " A mean number of training tokens, in thousands, stands where all runs got there."
    notes = "".join(f"\n\n{note[0].upper()}{note[1:]}." for note in found.conditions.notes)
    table = pd.DataFrame(rows).fillna("-")
    return [Section(title("values at the end"), text + notes, table=table, numbers=finished)]


def _comparisons(found: _Found, title: Title) -> list[Section]:
    """Compare conditions in pairs of seeds: the end values, and the times at which one half is reached."""
    settings = found.settings
    if len(found.conditions.table) < 2 or found.finished.empty:
        return []
    column, within = ("n_future" if "n_future" in settings else settings[0]), list(settings)
    within.remove(column)
    table = found.conditions.table.astype({"condition": "str"})
    ordered = table.assign(**{name: pd.Categorical(table[name], table[name].unique(), ordered=True) for name in settings})
    baseline = ordered[column].min()
    values = found.finished.drop(columns=settings).merge(ordered, on="condition")
    sections = []
    try:
        compared = comparison_table(values, column, baseline, within)
    except LabError as error:
        return [Section(title("paired comparisons"), f"Nothing can be paired: {error}.")]
    if len(compared):
        sections.append(_compared(title("paired comparisons"), found.label, compared, column, baseline, within))
    if found.times is not None and found.times["onset_observed"].any():
        times = _time_table(found.times.merge(ordered, on="condition"), column, baseline, within)
        if len(times):
            label = f"training tokens until {found.label} reaches {100 * ONSET:.0f} %, as a share of the baseline's"
            sections.append(_compared("", label, times, column, baseline, within))
    return sections


def _time_table(times: pd.DataFrame, column: str, baseline: object, within: Sequence[str]) -> pd.DataFrame:
    """Compare the times of each condition with the baseline's, with the columns of `comparison_table`."""
    rows = []
    for key, part in times.groupby(list(within), sort=True) if within else [((), times)]:
        for value in part.loc[part[column] != baseline, column].unique():
            found = compare_emergence(part, baseline, value, "onset", column)
            if found.n and found.neither < found.n:
                rows.append([*key, value, found.n, found.difference, found.low, found.high, found.p_value])
    table = pd.DataFrame(rows, columns=[*within, column, "pairs", "difference", "low", "high", "p_value"])
    table = corrected(table, "p_value", [least_p_of_pairs(pairs) for pairs in table["pairs"]])
    return table.assign(found=table["p_holm"] <= ALPHA)


def _compared(title: str, label: str, table: pd.DataFrame, column: str, baseline: object, within: Sequence[str]) -> Section:
    """Return a table of comparisons for people, after a sentence with what was found."""
    shown = table[[*within, column]].astype(str).rename(columns={column: f"{column}, against {baseline}"})
    shown["pairs"] = table["pairs"]
    shown["difference"] = [f"{value:+.3g}" for value in table["difference"]]
    shown["90 % interval"] = [_interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)]
    for name, title_of in (("p_value", "p"), ("p_holm", "p, corrected"), ("p_least", "least p")):
        shown[title_of] = table[name].map(_p)
    text = f"{label[0].upper()}{label[1:]}: difference to `{column}` = {baseline} over pairs of seeds."
    return Section(title, f"{text}\n\n> {_verdict(table)}", table=shown, numbers=table)


def _verdict(table: pd.DataFrame) -> str:
    """Return a sentence with what comparisons found, which claims no more than the test."""
    found, compared, least = int(table["found"].sum()), len(table), table["p_least"].min()
    excludes = (table["low"] > 0) | (table["high"] < 0)
    if found:
        sentence = f"A difference is found in {found} of {counted(compared, 'comparison')} (p <= {ALPHA:g})"
    else:
        sentence = f"No difference is found in {counted(compared, 'comparison')} (p > {ALPHA:g})"
    if not found and least > ALPHA:
        sentence += f", nor could be: with these pairs p is at least {least:.2g}"
    if (excludes & ~table["found"]).any():
        sentence += "; an interval that excludes 0 is approximate, and the exact test decides"
    if table["pairs"].min() < FEWEST:
        sentence += f"; fewer than {FEWEST} pairs say little"
    return f"{sentence}."


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"[{low:+.3g}, {high:+.3g}]"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"


def _best(found: _Found, title: Title) -> list[Section]:
    """Name the condition with the best mean at the end, and how to train it again."""
    means = found.finished.dropna(subset="value").groupby("condition", sort=False)["value"].mean()
    if len(means) < 2:
        return []
    lower = Metric.parse(found.metric).lower_is_better
    value = means.min() if lower else means.max()
    best = list(means.index[means == value])
    others = f" ({len(best)} conditions share it)" if len(best) > 1 else ""
    text = f"The best mean of {found.label} at the end is {value:.4g}: {best[0]}{others}."
    text += f" It is the {'least' if lower else 'largest'} of {len(means)} noisy means, which flatters it."
    return [Section(title("best configuration"), text)]
