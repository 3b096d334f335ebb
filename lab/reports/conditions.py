"""The sections about the conditions of one task: learning curves, survival, a table, paired comparisons, the best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.errors import LabError
from lab.metrics import Metric, in_variant
from lab.plots.axes import metric_label
from lab.reports.compare import compare
from lab.reports.comparison import ComparisonTable
from lab.reports.section import Section
from lab.runs.names import shared_lines
from lab.runs.run import tabulate
from lab.runs.status import Status
from lab.stats.bootstrap import FEWEST, counted, mean_beside_share, share_with_interval
from lab.stats.conditions import Conditions, conditions, enumerated, rows_of
from lab.stats.configurations import run_values
from lab.stats.emergence import ONSET, THRESHOLDS, emergence_table
from lab.stats.paired import ALPHA

DRAWN_AT_MOST = 12
"""Conditions in a figure; of more the best are drawn."""
_LEFT_OUT = ("pruned", "failed")
"""States of runs that are no part of a curve, since their ends depend on it."""
Title = Callable[[str], str]
"""Makes the title of a section from its words."""


@dataclass(frozen=True)
class _Found:
    """The conditions of one task.

    Attributes:
        conditions: All runs that are drawn, also those in training.
        ended: The rows of runs that finished or diverged.
        metric: The metric that is drawn and compared.
        label: Its name in words.
        times: When each run that ended passed the thresholds; None for a metric without them.
        compared: The setting whose values are compared, within the values of all others.
    """

    conditions: Conditions
    ended: pd.DataFrame
    metric: str
    label: str
    times: pd.DataFrame | None
    compared: str

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
        by: Settings that distinguish conditions, of which the first is compared within the others; by default those that vary.
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
            times = emergence_table(ended, metric, thresholds=THRESHOLDS, by=["condition"])
        except LabError:  # runs that ended early, before a threshold
            times = None
    compared = "n_future" if by is None and "n_future" in found.settings else found.settings[0]
    return _Found(found, ended, metric, metric_label(metric, tidy, width=200), times, compared)


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
        for which, threshold in THRESHOLDS.items() if len(passed) else ():
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
    """Compare conditions in pairs of seeds: the values at the end, and the times at which one half is reached."""
    if len(found.conditions.table) < 2 or found.finished.empty:
        return []
    within = [name for name in found.settings if name != found.compared]
    frame = found.conditions.frame.drop(columns="condition")
    reached = found.times is not None and found.times["onset_observed"].any()
    sections = []
    for at in ("end", "onset") if reached else ("end",):
        try:
            table = compare(frame, found.compared, within=within, metric=found.metric, at=at)
        except LabError as error:
            sections.append(Section(text=f"Nothing is compared at the {at}: {error}."))
            continue
        paired = table.frame.groupby("within")["against"].transform(lambda against: (against != "").any()).astype(bool)
        notes = " ".join([*table.reading(), *(f"{note[0].upper()}{note[1:]}." for note in table.notes)])
        text = f"{table.title[0].upper()}{table.title[1:]}.\n\n> {_verdict(table)}"
        sections += [Section(text=text, table=table.shown()[paired], numbers=table.frame), Section(text=notes, small=True)]
    return [replace(sections[0], title=title("paired comparisons")), *sections[1:]]


def _verdict(table: ComparisonTable) -> str:
    """Return a sentence with what the comparisons found, which claims no more than the test."""
    rows = table.frame.dropna(subset="found")
    p_value = "p" if "p_least" in rows else "p_log_rank"
    found, excludes = rows["found"].astype(bool), (rows["low"] > 0) | (rows["high"] < 0)
    least = rows[f"{p_value}_least"].min()
    if found.any():
        sentence = f"A difference is found in {found.sum()} of {counted(len(rows), 'comparison')}"
        sentence += f": {enumerated([_named(row) for row in rows[found].to_dict('records')])}"
    else:
        sentence = f"No difference is found in {counted(len(rows), 'comparison')}"
        sentence += f", nor could be: with so few seeds the corrected p is at least {least:.2g}" if least > ALPHA else ""
    if (excludes & ~found).any():
        sentence += "; an interval excludes 0, but intervals are approximate, and the exact test decides"
    tested = "pairs" if "difference" in rows else "runs"  # by the test that decides
    if (rows if tested == "pairs" else table.frame)[tested].min() < FEWEST:
        sentence += f"; fewer than {FEWEST} {tested} say little"
    return f"{sentence}."


def _named(row: Mapping[Hashable, Any]) -> str:
    """Name a comparison with its effect."""
    if "difference" in row:
        effect = f"{row['difference']:+.3g}"
    else:  # no size where no pair of seeds has a run that emerged
        sized = row["neither"] < row["pairs"]
        effect = f"{100 * row['later']:+.0f} % of tokens" if sized else "without a size in pairs of seeds"
    where = f" ({row['within']})" if row["within"] else ""
    return f"{row['condition']} against {row['against']}{where}, {effect}"


def _best(found: _Found, title: Title) -> list[Section]:
    """Name the condition with the best mean at the end, of a metric that has a better direction."""
    means = found.finished.dropna(subset="value").groupby("condition", sort=False)["value"].mean()
    if len(means) < 2 or Metric.parse(found.metric).describes:
        return []
    lower = Metric.parse(found.metric).lower_is_better
    value = means.min() if lower else means.max()
    best = list(means.index[means == value])
    others = f" ({len(best)} conditions share it)" if len(best) > 1 else ""
    text = f"The best mean of {found.label} at the end is {value:.4g}: {best[0]}{others}."
    text += f" It is the {'least' if lower else 'largest'} of {len(means)} noisy means, which flatters it."
    return [Section(title("best configuration"), text)]
