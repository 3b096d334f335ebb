"""Report how runs of one task with one and with more prediction heads differ: figures, a table, one sentence, and a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.metrics import Metric
from lab.plots.axes import metric_label
from lab.reports.section import Section, render_html
from lab.runs import Run, frame
from lab.runs.files import write_atomic
from lab.runs.names import headline, reference_lines, role_label
from lab.stats.bootstrap import FEWEST, counted, mean_beside_share, mean_with_interval, share_with_interval
from lab.stats.conditions import conditions, rows_of
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import COMPLETION, ONSET, emergence_table
from lab.stats.paired import ALPHA, Comparison, holm
from lab.stats.times import compare_emergence, emergence_sentence

PAGE = "index.html"
THRESHOLDS = {"onset": ONSET, "completion": COMPLETION}
_IN_WORDS = {ONSET: "one half", COMPLETION: "nine tenths"}
_RULE = (
    f"A difference is claimed if the p-value of the exact test, corrected for the number of comparisons, is at most"
    f" {ALPHA:.2f}; an interval shows its size."
)
_UNEXPLAINED = (
    "An interval here excludes 0 although no difference is claimed. The exact test decides, not the interval: an interval of so"
    " few pairs is approximate, and the test asks how often chance alone would give as large a difference."
)


class Report(NamedTuple):
    """The result of a report.

    Attributes:
        figure: Path of the emergence curve.
        page: Path of the HTML page.
        table: One row for each n: emergence times in thousands of tokens and end values, with 90 % intervals.
        sentence: The conclusion from the numbers.
    """

    figure: Path
    page: Path
    table: pd.DataFrame
    sentence: str


def report(runs: Sequence[Run], out: Path, command: str = "lab.reports.emergence.report(runs, out)") -> Report:
    """Compare runs of one task by its headline metric, and write figures and a page.

    Args:
        runs: Runs that differ in n_future and seed alone; those that ended count, a diverged one as one that never passes.
        out: The folder for `emergence.png` and further figures, their numbers as CSV, and `index.html`.
        command: The command or call that makes the page.

    Raises:
        LabError: If the runs differ in more, or a file cannot be written.
    """
    experiment = runs[0].experiment
    metric = headline(experiment)
    tidy = frame(runs)
    found = conditions(rows_of(tidy, metric), ["n_future"], keep="ended")
    own = found.frame.drop(columns="condition")
    tidy = tidy[tidy["run"].isin(own["run"])]
    table, sentence, unexplained = findings(own, metric)
    with plots.style():
        drawn = _figures(tidy, metric, experiment.task.variants(), reference_lines(experiment, metric))
        for name, (figure, numbers, _) in drawn.items():
            plots.save(figure, numbers, out / f"{name}.png")
        figures = {name: (figure, caption) for name, (figure, _, caption) in drawn.items()}
        reading = [_RULE, *([_UNEXPLAINED] if unexplained else []), *found.notes]
        title = f"{experiment.task.name.partition(':')[2] or experiment.task.name}, with one prediction head and with more"
        sections = sections_of(runs, figures, table, sentence, reading, command)
        write_atomic(out / PAGE, render_html(title, sections))
    return Report(out / "emergence.png", out / PAGE, table, sentence)


def findings(rows: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, str, bool]:
    """Return a table with a row for each n, a sentence, and whether an interval excludes 0 where no difference is claimed.

    Args:
        rows: Rows of the metric in a frame of runs that differ in n_future and seed alone.
        metric: The times at which it reaches the thresholds are compared, or its values at the end if less of it is better.
    """
    if Metric.parse(metric).lower_is_better:
        return summary_table(rows, metric), *end_conclusion(rows, metric)
    times = emergence_table(rows, metric, thresholds=THRESHOLDS)
    return summary_table(rows, metric, times), *conclusion(times, _label(metric, rows))


def summary_table(rows: pd.DataFrame, metric: str, times: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row for each n: how many runs reach each threshold, when (thousands of tokens seen), and the last value.

    Each has its 90 % interval. A time that some run did not reach has no mean, since one over the others would flatter.
    """
    last = run_values(rows, metric)
    summaries = []
    for n, of_n in rows.groupby("n_future", sort=True):
        ends = last[last["n_future"] == n]
        row: dict[str, object] = {"prediction heads (n)": n, "seeds": of_n["run"].nunique()}
        for name, threshold in THRESHOLDS.items() if times is not None else ():
            group = times[times["n_future"] == n] if times is not None else pd.DataFrame()
            seen = group[f"{name}_observed"].astype(bool)
            thousands = mean_with_interval((group[name] / 1000).tolist(), digits=0)
            row[f"runs that reach {100 * threshold:.0f} %"] = share_with_interval(seen.tolist())
            row[f"{100 * threshold:.0f} % reached after (thousands of tokens)"] = thousands if seen.all() else "-"
        escaped = [] if times is None else times.loc[times["n_future"] == n, "onset_observed"].tolist()
        row[f"{metric_label(metric, rows, width=200)} at the end"] = mean_beside_share(ends["value"].tolist(), escaped)
        summaries.append(row)
    return pd.DataFrame(summaries)


def across(table: pd.DataFrame) -> pd.DataFrame:
    """Return a summary table with a column for each n, which fits a page or a terminal."""
    turned = table.set_index(table.columns[0]).T
    return turned.set_axis([f"n = {n}" for n in turned.columns], axis="columns").rename_axis(None).reset_index(names="")


def conclusion(times: pd.DataFrame, label: str) -> tuple[str, bool]:
    """Compare each n with the smallest, at onset and at completion, in one sentence that claims no more than the numbers.

    Each of the two thresholds is a question of its own: p-values are corrected over the n that are compared there.

    Returns:
        The sentence, and whether an interval excludes 0 where no difference is claimed.
    """
    first, *others = sorted(times["n_future"].unique())
    clauses, unexplained = [], False
    for which, threshold in THRESHOLDS.items():
        comparisons = [compare_emergence(times, first, n, which) for n in others]
        corrected = holm([comparison.p_value for comparison in comparisons])
        for n, comparison, p_holm in zip(others, comparisons, corrected, strict=True):
            found = emergence_sentence(comparison, first, n, reaching(label, threshold), p_holm)
            clauses.append(f"{which}: {found[0].lower()}{found[1:].rstrip('.')}")
            unexplained |= _excludes_zero(comparison) and not p_holm <= ALPHA
    return _joined(clauses, first), unexplained


def end_conclusion(rows: pd.DataFrame, metric: str) -> tuple[str, bool]:
    """Compare as `conclusion` does, by the values of a metric at the end."""
    first, label = rows["n_future"].min(), _label(metric, rows)
    clauses, unexplained = [], False
    for row in comparison_table(run_values(rows, metric), baseline=first).to_dict("records"):
        found, excludes = row["p_holm"] <= ALPHA, row["low"] > 0 or row["high"] < 0
        interval = "" if math.isnan(row["low"]) else f"90 % interval {row['low']:+.3g} to {row['high']:+.3g}, "
        p_value = "" if math.isnan(row["p_holm"]) else f"p = {row['p_holm']:.2g}, "
        n, nats = row["n_future"], " nats" if Metric.parse(metric).unit == "nats" else ""
        way = f"{abs(row['difference']):.3g}{nats} {'lower' if row['difference'] < 0 else 'higher'}"
        effect = f"{label} is {way} with n = {n} than" if row["difference"] else f"{label} is the same with n = {n} as"
        effect += f" with n = {first}"
        judged = "too few seeds to tell: " if row["pairs"] < FEWEST else "" if found else "no reliable difference: "
        clauses.append(f"at the end {judged}{effect} ({interval}{p_value}{counted(int(row['pairs']), 'pair')} of seeds)")
        unexplained |= bool(excludes and not found)
    return _joined(clauses, first), unexplained


def reaching(label: str, threshold: float) -> str:
    """Return in words that a metric reaches a threshold, such that a size can follow, as `14 % later`."""
    return f"{label} reaches {_IN_WORDS.get(threshold, f'{threshold:g}')}"


def _label(metric: str, frame: pd.DataFrame) -> str:
    return Metric.parse(metric).label(role_label(frame))


def _joined(clauses: Sequence[str], first: object) -> str:
    if not clauses:
        return f"Only n = {first} was trained: there is nothing to compare."
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _excludes_zero(comparison: Comparison) -> bool:
    return comparison.low > 0 or comparison.high < 0


def _figures(
    tidy: pd.DataFrame, metric: str, variants: Iterable[str], lines: dict[str, float]
) -> dict[str, tuple[Figure, pd.DataFrame, str]]:
    """Return figure, numbers and caption of each figure that the runs have metrics for, by name."""
    thresholds = {} if Metric.parse(metric).lower_is_better else THRESHOLDS
    caption = f"{metric_label(metric, tidy, width=200).capitalize()}, against training tokens seen."
    drawn = {"emergence": (*plots.emergence(tidy, metric, by=["n_future"], lines=lines | thresholds), caption)}
    for variant in variants:
        if (tidy["metric"] == f"{variant}:{metric}").any():
            caption = f"The same on the task's `{variant}` instances, which training never shows."
            drawn[variant] = (*plots.emergence(tidy, f"{variant}:{metric}", by=["n_future"], lines=thresholds), caption)
    found = [Metric.parse(name) for name in tidy["metric"].unique()]
    if any(each.name == "prefix_matching" and each.attention_head is None for each in found):
        caption = "Attention of the best attention head to the token after the last occurrence of this one (prefix matching)."
        drawn["induction"] = (*plots.induction(tidy, by=["n_future"]), caption)
    for n, part in tidy.groupby("n_future"):
        if any(Metric.parse(name).attention_head is not None for name in part["metric"].unique()):
            caption = f"The same score of every attention head at the end of training, n = {n}."
            drawn[f"heatmap-n{n}"] = (*plots.heatmap(part), caption)
    return drawn


def sections_of(
    runs: Sequence[Run],
    figures: dict[str, tuple[Figure, str]],
    table: pd.DataFrame,
    sentence: str,
    reading: Sequence[str],
    command: str,
) -> list[Section]:
    """Return the sections of the page; the tables of its figures lie beside it."""
    one = runs[0].experiment
    how = f"""In brackets: 90 % intervals over seeds, of means by bootstrap and of shares exact. All runs are measured on the
same {one.evaluation.examples} sequences; the intervals do not cover their choice. Times are tokens seen at the first
of two evaluation points in a row at or above the threshold; points are {one.evaluation.every} steps
apart. {" ".join(reading)}"""
    made = f"Made on {date.today().isoformat()} by `{command}`; the numbers of each figure lie beside this page as CSV."
    return [
        Section(text=f"The task: {one.task.summary}."),
        Section(text=f"> {sentence}", table=across(table)),
        Section(text=how),
        *(Section(text=f"{text} ([numbers]({name}.csv))", figure=figure) for name, (figure, text) in figures.items()),
        Section("Runs", f"{_describe_runs(runs)}\n\n{made}"),
    ]


def _describe_runs(runs: Sequence[Run]) -> str:
    """Return a description of the models, their task, and the code that trained them."""
    one = runs[0].experiment
    trunks = {run.experiment.n_future: run.experiment.trunk_layers for run in runs}
    trunk = ", ".join(f"{counted(layers, 'layer')} with n = {n}" for n, layers in sorted(trunks.items()))
    same_depth = len(set(trunks.values())) == 1
    depth = "" if same_depth else " More heads leave fewer layers to the trunk, so that a difference can also come from depth."
    parameters = sorted({int(run.record["non_embedding_parameters"]) for run in runs})
    seconds = sum(float(run.record["wall_seconds"]) for run in runs)
    versions = ", ".join(f"{name} {version}" for name, version in runs[0].record["versions"].items())
    commits = ", ".join(sorted({str(run.record["commit"]) for run in runs}))
    size = " or ".join(f"{count:,}" for count in parameters)
    return f"""{len(runs)} models of width {one.model.width} with {size} non-embedding parameters, on the task
`{one.task.name}`. The trunk, which all prediction heads share, has {trunk}.{depth} Models of the same seed see the same data in
the same order. {one.steps} steps of {one.batch_size} sequences, peak learning rate {one.optimiser.peak_lr:g}; {seconds:.0f} s
of training in all. Code at {commits}; {versions}."""
