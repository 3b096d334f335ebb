"""Report how runs with one and with more prediction heads differ, on one task or several, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.metrics import Metric
from lab.plots.axes import metric_label
from lab.reports.findings import conclusion, end_conclusion, metric_words
from lab.reports.section import Section, render_html
from lab.runs import Run, frame
from lab.runs.files import write_atomic
from lab.runs.names import headline, reference_lines
from lab.stats.bootstrap import counted, mean_beside_share, mean_with_interval, share_with_interval
from lab.stats.conditions import conditions, enumerated, rows_of
from lab.stats.configurations import run_values
from lab.stats.emergence import THRESHOLDS, emergence_table
from lab.stats.paired import ALPHA

PAGE = "index.html"
_READING = """n is the number of prediction heads: head i predicts the token i positions ahead, and head 1 is measured. In
brackets: 90 % intervals over seeds, of means by bootstrap and of shares exact. Times are training tokens seen at the first of
two evaluation points in a row at or above the threshold. A run that does not get there counts with all tokens that it saw."""
_RULE = (
    f"A difference is claimed if the p-value of the exact test over pairs of seeds, corrected for the number of comparisons, is"
    f" at most {ALPHA:.2f}; an interval shows its size. With few pairs that p-value cannot be small: the least possible one"
    " stands beside it."
)
_UNEXPLAINED = (
    "An interval here excludes 0 although no difference is claimed. The exact test decides, not the interval: an interval of so"
    " few pairs is approximate, and the test asks how often chance alone would give as large a difference."
)


class Report(NamedTuple):
    """The comparison of runs of one task.

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


class _Case(NamedTuple):
    """The runs of one task, their comparison, and the sections about them."""

    runs: Sequence[Run]
    table: pd.DataFrame
    sentence: str
    reading: list[str]
    sections: list[Section]


def report(runs: Sequence[Run], out: Path, command: str = "lab.reports.emergence.report(runs, out)") -> Report:
    """Compare runs of one task by its headline metric, and write figures and a page.

    Args:
        runs: Runs that differ in n_future and seed alone; those that ended count, a diverged one as one that never passes.
        out: The folder for `emergence.png` and further figures, their numbers as CSV, and `index.html`.
        command: The command or call that makes the page.

    Raises:
        LabError: If the runs differ in more, or a file cannot be written.
    """
    [(_, found)] = report_cases({"": runs}, out, command).items()
    return found


def report_cases(
    cases: Mapping[str, Sequence[Run]], out: Path, command: str, further: Sequence[Section] = ()
) -> dict[str, Report]:
    """Compare runs as `report` does, for several tasks on one page.

    Args:
        cases: The runs of each task. Its name begins those of its figures, as `agreement-emergence.png`; "" is for one alone.
        out: The folder for the figures, their numbers as CSV, and `index.html`.
        command: The command or call that makes the page.
        further: Sections before the last one, as what a reader can do next.

    Raises:
        LabError: If the runs of a task differ in more, or a file cannot be written.
    """
    with plots.style():
        found = {name: _case(name, runs, out) for name, runs in cases.items()}
        names = [_task_name(case.runs) for case in found.values()]
        title = f"{' and '.join(names)}, with one prediction head and with more"
        write_atomic(
            out / PAGE, render_html(f"{title[0].upper()}{title[1:]}", _page(list(found.values()), out, command, further))
        )
    return {
        name: Report(out / f"{_prefix(name)}emergence.png", out / PAGE, case.table, case.sentence)
        for name, case in found.items()
    }


def _prefix(name: str) -> str:
    return f"{name}-" if name else ""


def _task_name(runs: Sequence[Run]) -> str:
    name = runs[0].experiment.task.name
    return name.partition(":")[2] or name


def _case(name: str, runs: Sequence[Run], out: Path) -> _Case:
    """Compare the runs of one task, and write its figures."""
    experiment = runs[0].experiment
    metric = headline(experiment)
    tidy = frame(runs)
    found = conditions(rows_of(tidy, metric), ["n_future"], keep="ended")
    own = found.frame.drop(columns="condition")
    tidy = tidy[tidy["run"].isin(own["run"])]
    table, sentence, unexplained = findings(own, metric)
    drawn = _figures(tidy, metric, experiment.task.variants(), reference_lines(experiment, metric))
    sections = [Section(_task_name(runs).capitalize(), f"{experiment.task.summary[0].upper()}{experiment.task.summary[1:]}.")]
    one = experiment.evaluation
    measured = (
        f"Measured every {one.every} steps on the same {one.examples} sequences; the intervals do not cover their choice."
    )
    sections.append(Section(text=measured, table=across(table)))
    for figure_name, (figure, numbers, caption) in drawn.items():
        file = f"{_prefix(name)}{figure_name}"
        plots.save(figure, numbers, out / f"{file}.png")
        sections.append(Section(text=f"{caption} ([numbers]({file}.csv))", figure=figure))
    notes = [f"{note[0].upper()}{note[1:]}." for note in (*found.notes, *_notes_on_ends(own, metric))]
    return _Case(runs, table, sentence, [*([_UNEXPLAINED] if unexplained else []), *notes], sections)


def _notes_on_ends(rows: pd.DataFrame, metric: str) -> list[str]:
    """Name the runs that have no value at the end: diverged ones, and those whose value is not a number."""
    runs, ends = rows.drop_duplicates("run"), run_values(rows, metric)
    diverged = runs.loc[runs["state"] == "diverged", "run"].tolist()
    unknown = ends.loc[ends["value"].isna(), "run"].tolist()
    notes = [f"diverged, so that they never get there and have no value at the end: {enumerated(diverged)}"] if diverged else []
    return [*notes, f"{metric} at the end is not a number: {enumerated(unknown)}"] if unknown else notes


def _page(cases: Sequence[_Case], out: Path, command: str, further: Sequence[Section]) -> list[Section]:
    """Return the sections of the page: findings, each task, how to read it, what to do next, the runs."""
    depth = [line for case in cases if (line := _depth(case.runs, named=len(cases) > 1))]
    notes = list(dict.fromkeys(note for case in cases for note in case.reading))
    return [
        Section(text="\n\n".join(f"> {case.sentence}" for case in cases)),
        *(Section(text=line) for line in depth),
        *(section for case in cases for section in case.sections),
        Section("How to read this page", " ".join([_READING, _RULE, *notes])),
        *further,
        Section("Runs", table=_runs_table(cases, out, command)),
    ]


def _depth(runs: Sequence[Run], named: bool) -> str:
    """Return how the depth of the trunk differs between conditions; "" if it does not."""
    trunks = {run.experiment.n_future: run.experiment.trunk_layers for run in runs}
    if len(set(trunks.values())) == 1:
        return ""
    trunk = ", ".join(f"{counted(layers, 'layer')} with n = {n}" for n, layers in sorted(trunks.items()))
    return (
        f"{f'On {_task_name(runs)} the' if named else 'The'} trunk, which all prediction heads share, has {trunk}: at equal"
        " parameters more heads leave fewer layers to the trunk. No condition here holds the depth fixed"
        " (`model.matched: layers` does), so that a difference can also come from depth."
    )


def _runs_table(cases: Sequence[_Case], out: Path, command: str) -> pd.DataFrame:
    """Return the facts about the runs: models, training, command, code and folders."""
    runs = [run for case in cases for run in case.runs]
    facts: dict[str, object] = {"made": f"{date.today().isoformat()} by `{command}`"}
    for case in cases:
        one = case.runs[0].experiment
        sizes = sorted({int(run.record["non_embedding_parameters"]) for run in case.runs})
        facts[f"models on {_task_name(case.runs)}"] = (
            f"{len(case.runs)}, of width {one.model.width} with {' or '.join(f'{size:,}' for size in sizes)} non-embedding"
            f" parameters; {one.steps} steps of {one.batch_size} sequences, peak learning rate {one.optimiser.peak_lr:g}."
            " Models of the same seed see the same data in the same order."
        )
    facts["training"] = f"{sum(float(run.record['wall_seconds']) for run in runs):.0f} s in all runs together"
    facts["commit"] = ", ".join(sorted({str(run.record["commit"]) for run in runs}))
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in runs[0].record["versions"].items())
    folders = {run.path.parent.resolve() for run in runs}
    inside = sorted(folder.relative_to(out.resolve()).as_posix() for folder in folders if folder.is_relative_to(out.resolve()))
    if inside:
        facts["folders"] = ", ".join(f"[{folder}]({folder}/)" for folder in inside)
    return pd.DataFrame(list(facts.items()), columns=["", ""], dtype=object)


def findings(rows: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, str, bool]:
    """Return a table with a row for each n, a sentence, and whether an interval excludes 0 where no difference is claimed.

    Args:
        rows: Rows of the metric in a frame of runs that differ in n_future and seed alone.
        metric: The times at which it reaches the thresholds are compared, or its values at the end if less of it is better.
    """
    if Metric.parse(metric).lower_is_better:
        return summary_table(rows, metric), *end_conclusion(rows, metric)
    times = emergence_table(rows, metric, thresholds=THRESHOLDS)
    return summary_table(rows, metric, times), *conclusion(times, metric_words(metric, rows))


def summary_table(rows: pd.DataFrame, metric: str, times: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row for each n: how many runs reach each threshold, when (thousands of tokens seen), and the last value.

    Each has its 90 % interval. A time that some run did not reach has no mean, since one over the others would flatter.
    """
    last = run_values(rows, metric).dropna(subset="value")
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
        shown = mean_beside_share(ends["value"].tolist(), escaped) if len(ends) else "-"
        row[f"{metric_label(metric, rows, width=200)} at the end"] = shown
        summaries.append(row)
    return pd.DataFrame(summaries)


def across(table: pd.DataFrame) -> pd.DataFrame:
    """Return a summary table with a column for each n, which fits a page or a terminal."""
    turned = table.set_index(table.columns[0]).T
    return turned.set_axis([f"n = {n}" for n in turned.columns], axis="columns").rename_axis(None).reset_index(names="")


def _figures(
    tidy: pd.DataFrame, metric: str, variants: Iterable[str], lines: dict[str, float]
) -> dict[str, tuple[Figure, pd.DataFrame, str]]:
    """Return figure, numbers and caption of each figure that the runs have metrics for, by name."""
    thresholds = {} if Metric.parse(metric).lower_is_better else dict(THRESHOLDS)
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
