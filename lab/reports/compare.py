"""Compare the conditions of runs, or of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lab.config.names import full_name
from lab.errors import LabError
from lab.metrics import Metric
from lab.reports.comparison import ComparisonTable
from lab.runs import frame
from lab.runs.names import common_headline, headline_of, role_label
from lab.runs.search import Runs, open_some
from lab.stats.compared import compare_ends, compare_times
from lab.stats.configurations import Rule
from lab.stats.emergence import THRESHOLDS


def compare(
    runs: Runs | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    within: str | Sequence[str] = (),
    metric: str | None = None,
    at: str | float = "end",
    baseline: object = None,
    solved: float | None = None,
) -> ComparisonTable:
    """Compare the conditions of a study over pairs of seeds.

    Args:
        runs: Runs, folders of runs, or a tidy frame (`lab.frame`).
        by: The setting, or settings, that distinguish conditions (`lr` or `optimiser.peak_lr`); by default the one that varies.
        within: Settings in which compared runs agree: conditions are compared separately for each of their values.
        metric: Name of the metric, such as `accuracy/copy/1`; by default the headline of the runs' task.
        at: The value at the `end` of a run or its `best` one; or the tokens seen until `onset` (0.5), `completion` (0.9) or
            another threshold.
        baseline: Value of `by` that the others are compared with; by default the first.
        solved: Value from which on a run counts as solved, such as 0.95 (of a loss up to which): the table then has the share
            of runs that solved the task and the onset beside the mean. By default it has neither.

    Raises:
        LabError: If runs of a condition differ in other settings than the seed, no two conditions share a seed, a name is
            wrong, or `solved` is given with the times of a threshold.
    """
    settings = None if by is None else _dotted(by)
    inside, threshold = _dotted(within), _threshold(at)
    if solved is not None and (threshold is not None or not math.isfinite(solved)):
        raise LabError(f"solved must be a number, and at end or best, not solved = {solved} and at = {at}")
    tidy, headline = _read(runs, metric)
    if at == "best" and Metric.parse(headline).describes:
        raise LabError(f"of {headline} neither more nor less is better, so that it has no best value: compare its end")
    label = Metric.parse(headline).axis_label(role_label(tidy))
    if threshold is None:
        rule: Rule = "last" if at == "end" else "best"
        compared = compare_ends(tidy, headline, settings, within=inside, baseline=baseline, rule=rule, solved=solved)
        title = f"{label}, {rule} evaluation of each run"
    else:
        compared = compare_times(tidy, headline, threshold, settings, within=inside, baseline=baseline)
        title = f"training tokens until {label} reaches {threshold:g}{f' ({at})' if at in THRESHOLDS else ''}"
    return ComparisonTable(title, headline, at, compared)


def _dotted(names: str | Sequence[str]) -> list[str]:
    """Return the dotted names of one or several settings."""
    return [full_name(name) for name in ([names] if isinstance(names, str) else names)]


def _read(runs: Runs | pd.DataFrame, metric: str | None) -> tuple[pd.DataFrame, str]:
    """Return the frame of runs, and the metric: by default the headline of their task.

    Raises:
        LabError: If no metric is given and none is known.
    """
    if not isinstance(runs, pd.DataFrame):
        opened = open_some(runs)
        return frame(opened), metric or common_headline([run.experiment for run in opened])
    if metric is None and (metric := headline_of(runs)) is None:
        raise LabError("the frame does not determine the metric: choose one as metric")
    return runs, metric


def _threshold(at: str | float) -> float | None:
    """Return the threshold whose times are compared; None for values of the runs.

    Raises:
        LabError: For anything else.
    """
    if at in ("end", "best"):
        return None
    if at in THRESHOLDS:
        return THRESHOLDS[str(at)]
    if isinstance(at, str) or not math.isfinite(at):
        raise LabError(f"at must be end, best, {', '.join(THRESHOLDS)} or a number, the threshold, not {at!r}")
    return float(at)
