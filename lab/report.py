"""What the demo says of its runs: figures, a table with intervals, one sentence, and a page that holds all of it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.analysis.emergence import COMPLETION, ONSET, emergence_table
from lab.analysis.statistics import holm, mean_with_interval, share_with_interval
from lab.analysis.times import compare_emergence, emergence_sentence
from lab.plots.save import embedded, figure_of
from lab.runs import Run
from lab.runs.files import write_atomic
from lab.runs.frames import frame
from lab.runs.names import headline, reference_lines

PAGE = "index.html"


class Report(NamedTuple):
    """What was found.

    Attributes:
        figure: Path of the emergence curve.
        page: Path of the HTML page.
        table: One row for each n: emergence times in thousands of tokens and end values, with 90 % intervals.
        sentence: What follows from the numbers.
    """

    figure: Path
    page: Path
    table: pd.DataFrame
    sentence: str


def report(runs: Sequence[Run], out: Path) -> Report:
    """Draw, compare and write what some runs of one task show.

    Args:
        runs: Finished runs that differ in n_future and seed alone.
        out: The folder for `emergence.png`, `induction.png`, their numbers as CSV, and `index.html`.

    Raises:
        LabError: If a file cannot be written.
    """
    metric = headline(runs[0].experiment)
    tidy = frame(runs)
    times = emergence_table(tidy, metric)
    table = summary_table(tidy, times, metric)
    sentence = conclusion(times)
    thresholds = {"onset": ONSET, "completion": COMPLETION}
    figures: dict[str, Figure] = {}
    with plots.style():
        curve, numbers = plots.emergence(tidy, metric, lines=reference_lines(runs[0].experiment, metric) | thresholds)
        scores, score_numbers = plots.induction(tidy)
        drawn = {"emergence": (curve, numbers), "induction": (scores, score_numbers)}
        far = f"far:{metric}"
        if (tidy["metric"] == far).any():
            drawn["far"] = plots.emergence(tidy, far, lines=thresholds)
        for n in sorted(tidy["n_future"].unique()):
            drawn[f"heatmap-n{n}"] = plots.heatmap(tidy[tidy["n_future"] == n])
        for name, (axes, values) in drawn.items():
            figures[name] = figure_of(axes)
            plots.save(figures[name], values, out / f"{name}.png")
        page = page_of(runs, figures, table, sentence)
    write_atomic(out / PAGE, page)
    return Report(out / "emergence.png", out / PAGE, table, sentence)


def summary_table(tidy: pd.DataFrame, times: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row for each n: how many runs reach onset and completion, when (thousands of tokens seen), and the last value.

    Each has its 90 % interval. A time that some run did not reach has no mean, since one over the others would flatter.
    """
    last = tidy[(tidy["metric"] == metric) & (tidy["step"] == tidy.groupby("run")["step"].transform("max"))]
    rows = []
    for n, group in times.groupby("n_future", sort=True):
        row: dict[str, object] = {"n": n, "seeds": len(group)}
        for name, threshold in (("onset", ONSET), ("completion", COMPLETION)):
            seen = group[f"{name}_observed"].astype(bool)
            thousands = mean_with_interval((group[name] / 1000).tolist(), digits=0)
            row[f"runs that reach {threshold:g}"] = share_with_interval(seen.tolist())
            row[f"{name} ({threshold:g}), k tokens"] = thousands if seen.all() else "-"
        row[f"{metric} at the end"] = mean_with_interval(last.loc[last["n_future"] == n, "value"].tolist())
        rows.append(row)
    return pd.DataFrame(rows)


def conclusion(times: pd.DataFrame) -> str:
    """One sentence: each n against the smallest, at onset and at completion; no more than the numbers allow.

    Each of the two thresholds is a question of its own: p-values are corrected over the n that are compared there.
    """
    first, *others = sorted(times["n_future"].unique())
    clauses = []
    for which, threshold in (("onset", ONSET), ("completion", COMPLETION)):
        comparisons = [compare_emergence(times, first, n, which) for n in others]
        corrected = holm([comparison.p_value for comparison in comparisons])
        for n, comparison, p_holm in zip(others, comparisons, corrected, strict=True):
            found = emergence_sentence(comparison, first, n, f"copying reaches {100 * threshold:g} % accuracy", p_holm)
            clauses.append(f"{which}: {found[0].lower()}{found[1:].rstrip('.')}")
    if not clauses:
        return f"Only n = {first} was trained: there is nothing to compare."
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fdfdfb; --line: #cfcfc8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e3; --paper: #1d1e20; --line: #4a4b4e; } }
body { margin: 2rem auto; max-width: 46rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.found { border-left: 4px solid #d55e00; padding-left: 1rem; font-size: 1.05rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
figure { margin: 1.2rem 0; } img { max-width: 100%; background: white; padding: .4rem; box-sizing: border-box; }
figcaption { font-size: .9rem; opacity: .85; } code { font-size: .92em; }
"""

_CAPTIONS = {
    "emergence": "Accuracy of the next-token head on tokens that only copying can predict, against training tokens seen.",
    "far": "The same at distances that training never showed: a real induction head does not care.",
    "induction": "How strongly the best attention head looks at what followed this token last time.",
    "heatmap": "The same score for every attention head at the end of training.",
}


def page_of(runs: Sequence[Run], figures: dict[str, Figure], table: pd.DataFrame, sentence: str) -> str:
    """One HTML page that needs no other file."""
    described = runs[0].experiment
    shown = "".join(
        f"<figure>{embedded(figure, _CAPTIONS[name.partition('-')[0]])}<figcaption>{_CAPTIONS[name.partition('-')[0]]}"
        f"{' ' + name.partition('-')[2].replace('n', 'n = ') + '.' if '-' in name else ''}</figcaption></figure>"
        for name, figure in figures.items()
    )
    parameters = runs[0].record["non_embedding_parameters"]
    seconds = sum(float(run.record["wall_seconds"]) for run in runs)
    versions = ", ".join(f"{name} {version}" for name, version in runs[0].record["versions"].items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>When does induction emerge?</title><style>{_STYLE}</style></head><body>
<h1>When does induction emerge, with one prediction head and with more?</h1>
<p class="found">{html.escape(sentence)}</p>
<div class="wide">{table.to_html(index=False, border=0)}</div>
<p>In brackets: 90 % intervals over seeds, of means by bootstrap and of shares exact (Clopper and Pearson). All runs are
measured on the same {described.evaluation.examples} sequences, and what others would give is not in the intervals. Times are
tokens seen at the first of two evaluation points in a row at or above the threshold; points are
{described.evaluation.every} steps apart.</p>
{shown}
<h2>What was run</h2>
<p>{len(runs)} models of {described.model.layers} layers, width {described.model.width} and {parameters:,} non-embedding
parameters, on the task <code>{described.task.name}</code>: {html.escape(described.task.summary)}. Models with more prediction
heads have as many layers less in the trunk, and see the same data in the same order. {described.steps} steps of
{described.batch_size} sequences of {described.task.length} tokens, peak learning rate {described.optimiser.peak_lr:g};
{seconds:.0f} s of training in all.
{html.escape(versions)}.</p>
</body></html>
"""
