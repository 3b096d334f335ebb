"""The effect of further prediction heads on each task, on one scale, and its rank correlation with the rule's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from lab.metrics import Metric
from lab.reproduce.atlas.plan import COMPARED, CONDITION, ONE
from lab.reproduce.atlas.rule import RULE, SEEN
from lab.stats.bootstrap import LEVEL, RESAMPLES, Floats
from lab.stats.conditions import finished
from lab.stats.configurations import comparison_table, run_values


class Range(NamedTuple):
    """What there is to learn in a task's runs: the headline metric at step 0 and that of the best condition at the end."""

    start: float
    best: float


def learnt_range(own: pd.DataFrame) -> Range | None:
    """Return the mean of a task's metric at step 0 over all runs, and the best mean of a condition at the end.

    Returns:
        None if no condition ends better than the start: nothing was learnt, and effects have no scale.
    """
    metric = str(own["metric"].iloc[0])
    sign = -1 if Metric.parse(metric).lower_is_better else 1
    start = float(own.loc[own["step"] == 0, "value"].mean())
    ends = run_values(own, metric).groupby(CONDITION)["value"].mean()
    best = sign * float((sign * ends).max())
    return Range(start, best) if sign * (best - start) > 0 else None


def curve_areas(own: pd.DataFrame) -> pd.DataFrame:
    """Compute the area under each learning curve of a task, on a scale from its start to its best end.

    The area is the mean over training tokens of (value - start) / (best - start), by trapezoids between evaluation points. It
    is 0 for a run that learns nothing and 1 for one that is at the best end at once; more is better, of losses and divergences
    as well.

    Args:
        own: A task's frame.

    Returns:
        One row for each finished run: `condition`, `run`, `seed`, `value`; nan if nothing was learnt (`learnt_range`).
    """
    scale = learnt_range(own)
    rows = []
    for (name, run, seed), curve in finished(own).sort_values("tokens").groupby([CONDITION, "run", "seed"]):
        tokens, values = curve["tokens"].to_numpy(float), curve["value"].to_numpy(float)
        mean = float(np.trapezoid(values, tokens) / (tokens[-1] - tokens[0]))
        area = float("nan") if scale is None else (mean - scale.start) / (scale.best - scale.start)
        rows.append({CONDITION: name, "run": run, "seed": seed, "value": area})
    return pd.DataFrame(rows)


def effect_table(own: pd.DataFrame) -> pd.DataFrame:
    """Compare the areas of a task's conditions with those of n = 1 over pairs of seeds.

    Returns:
        One row for each condition, in the order of `COMPARED`; see `comparison_table`. P-values are corrected over the task's
        rows: over all of the atlas no p-value of eight pairs could be found.
    """
    table = comparison_table(curve_areas(own), CONDITION, ONE)
    return table.sort_values(CONDITION, key=lambda names: names.map(COMPARED.index), ignore_index=True)


def effects_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of all tasks: `task`, `score`, `seen` (one of `SEEN`), and the columns of `effect_table`."""
    parts = []
    for task in tasks_of(frame):
        table = effect_table(frame[frame["task"] == task])
        table.insert(0, "task", task)
        table.insert(1, "score", RULE[task].score)
        table.insert(2, "seen", task in SEEN)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def tasks_of(frame: pd.DataFrame) -> list[str]:
    """Return the tasks of a frame by descending score; the order of equal scores is that of the rule."""
    present = set(frame["task"])
    return sorted((task for task in RULE if task in present), key=lambda task: -RULE[task].score)


@dataclass(frozen=True)
class Correlation:
    """The rank correlation of scores and effects over tasks.

    Attributes:
        tasks: Their number.
        ordered: Pairs of tasks whose effects are in the order of their scores.
        pairs: Pairs of tasks with different scores.
        somers_d: The share of these pairs in the order of the scores, less the share in the opposite order.
        low: Lower end of its interval.
        high: Upper end.
        tau_b: Kendall's tau-b.
    """

    tasks: int
    ordered: int
    pairs: int
    somers_d: float
    low: float
    high: float
    tau_b: float


def correlate(scores: Sequence[int], differences: Sequence[Floats]) -> Correlation:
    """Correlate scores with mean effects over tasks by Somers' D, with a 90 % bootstrap interval over tasks and seeds.

    Somers' D of the effect given the score is Kendall's tau over the pairs of tasks with different scores: 1 if all of them are
    in the order of the scores. Most scores are equal, so that tau-b, which compares the equal ones with each other as well,
    stays below 1 even then, and falls in every resample that holds a task twice.

    Each resample draws as many tasks with replacement, and for each of them its seeds with replacement; the interval is that of
    percentiles. It covers the seeds and the choice of tasks, as if these were drawn from all tasks that one could think of. It
    does not cover the choice of settings, of rates or of the measure of effect. With about ten tasks it is approximate;
    resamples in which all scores are equal are left out.

    Args:
        scores: Of each task; at least two differ.
        differences: Effects on each task, one for each seed.

    Raises:
        ValueError: If all scores are equal.
    """
    given, count = np.asarray(scores, float), len(scores)
    if len(set(scores)) < 2:
        raise ValueError("all scores are equal: there is no order to compare effects with")
    effects = np.array([each.mean() for each in differences])
    rng = np.random.default_rng(0)
    means = np.stack(  # (task, resample, slot)
        [
            rng.multinomial(len(each), np.full(len(each), 1 / len(each)), (RESAMPLES, count)) @ each / len(each)
            for each in differences
        ]
    )
    picked = rng.integers(count, size=(RESAMPLES, count))
    drawn = means[picked, np.arange(RESAMPLES)[:, None], np.arange(count)]
    outside = (1 - LEVEL) / 2
    low, high = np.nanquantile(somers_d(given[picked], drawn), [outside, 1 - outside])
    return Correlation(
        tasks=count,
        ordered=int((_signs(given) * _signs(effects) > 0).sum()),
        pairs=int(np.count_nonzero(_signs(given))),
        somers_d=float(somers_d(given, effects)),
        low=float(low),
        high=float(high),
        tau_b=float(scipy.stats.kendalltau(given, effects).statistic),
    )


def somers_d(scores: Floats, effects: Floats) -> Floats:
    """Return Somers' D of effects given scores, both (..., tasks); nan where all scores are equal."""
    order = _signs(scores)
    pairs = np.abs(order).sum(-1)
    agreement = (order * _signs(effects)).sum(-1)
    found: Floats = np.divide(agreement, pairs, out=np.full_like(agreement, np.nan), where=pairs > 0)
    return found


def _signs(values: Floats) -> Floats:
    """Return the sign of the difference of each pair of tasks, (..., pairs)."""
    first, second = np.triu_indices(values.shape[-1], 1)
    signs: Floats = np.sign(values[..., first] - values[..., second])
    return signs


def correlations(frame: pd.DataFrame) -> dict[tuple[str, str], Correlation]:
    """Return the rank correlation of each comparison, over all its tasks and over those not seen before the rule was written.

    Returns:
        By condition and `all` or `not seen`. Tasks in which nothing was learnt are left out; so are comparisons in which fewer
        than two tasks have another score than the commonest: they would rest on one task.
    """
    differences = {task: _differences(frame[frame["task"] == task]) for task in tasks_of(frame)}
    found = {}
    for name in COMPARED:
        for group, tasks in (("all", list(differences)), ("not seen", [task for task in differences if task not in SEEN])):
            chosen = [task for task in tasks if len(differences[task].get(name, ()))]
            scores = [RULE[task].score for task in chosen]
            if len(scores) - max(map(scores.count, scores), default=0) >= 2:
                found[name, group] = correlate(scores, [differences[task][name] for task in chosen])
    return found


def _differences(own: pd.DataFrame) -> Mapping[str, Floats]:
    """Return the effects of each condition of a task, one for each seed that it shares with n = 1; those that are numbers."""
    wide = curve_areas(own).pivot(index="seed", columns=CONDITION, values="value")
    return {str(name): (wide[name] - wide[ONE]).dropna().to_numpy(float) for name in wide.columns if name != ONE}
