"""Sentences about how runs with several numbers of prediction heads differ; each claims no more than its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lab.metrics import Metric
from lab.runs.names import role_label
from lab.stats.bootstrap import FEWEST, counted
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import THRESHOLDS
from lab.stats.paired import ALPHA, Comparison, holm, least_p_of_pairs
from lab.stats.times import compare_emergence


def conclusion(times: pd.DataFrame, label: str) -> tuple[str, bool]:
    """Compare the times of each n with those of the smallest: a sentence for each threshold and n.

    Each threshold is a question of its own: p-values are corrected over the n that are compared there.

    Args:
        times: From `emergence_table`, with the thresholds of `THRESHOLDS`.
        label: The metric in words, such as `copying accuracy`.

    Returns:
        The sentences, and whether an interval excludes 0 where no difference is claimed.
    """
    first, *others = sorted(times["n_future"].unique())
    sentences, unexplained = [], False
    for which, threshold in THRESHOLDS.items():
        comparisons = [compare_emergence(times, first, n, which) for n in others]
        corrected = holm([comparison.p_value for comparison in comparisons])
        least = holm([least_p_of_pairs(comparison.n) for comparison in comparisons])
        for n, comparison, p_holm, p_least in zip(others, comparisons, corrected, least, strict=True):
            reaches = f"{label} reaches {100 * threshold:.0f} %"
            sentences.append(_time_sentence(comparison, times, which, (first, n), reaches, p_holm, p_least))
            unexplained |= (comparison.low > 0 or comparison.high < 0) and not p_holm <= ALPHA
    return _joined(sentences, first), unexplained


def _time_sentence(
    found: Comparison, times: pd.DataFrame, which: str, pair: tuple[int, int], reaches: str, p_value: float, least: float
) -> str:
    """Put a comparison of emergence times of two numbers of heads in one sentence."""
    first, n = pair
    if not found.n:
        return f"no seed has a run with n = {first} and one with n = {n}, so that nothing can be said"
    if found.neither == found.n:
        pairs = f"{counted(found.n, 'pair')} with n = {first} and n = {n}"
        return f"{reaches} in neither run of {pairs} while both were watched: nothing can be said"
    if found.never_a or found.never_b:
        shares = [_share(times[times["n_future"] == each], which, each) for each in (n, first)]
        effect, interval = f"{reaches} in {shares[0]}, and in {shares[1]}", ""
    elif math.isnan(found.difference):
        effect, interval = f"{reaches} from the start with n = {first}, so that there is no size to n = {n}", ""
    else:
        effect = f"{reaches} {_shift(found.difference)} with n = {n} {'than' if found.difference else 'as'} with n = {first}"
        interval = "" if math.isnan(found.low) else f"90 % interval {100 * found.low:+.0f} to {100 * found.high:+.0f} %"
    return f"{effect}{_judgement(found.n, p_value)} ({_numbers(interval, found.n, p_value, least, found.unpaired)})"


def _share(times: pd.DataFrame, which: str, n: int) -> str:
    """Describe how many runs passed, their median time if at least half did, and how long the others were watched."""
    seen = times[f"{which}_observed"].astype(bool)
    passed = times[which].where(seen, math.inf).quantile(0.5, interpolation="lower")
    words = [f"half of them by {passed / 1000:,.0f} thousand tokens"] if math.isfinite(passed) else []
    if not seen.all():
        words.append(f"watched up to {times.loc[~seen, which].max() / 1000:,.0f} thousand tokens")
    return f"{seen.sum()} of {counted(len(seen), 'run')} with n = {n} ({', '.join(words)})"


def _shift(difference: float) -> str:
    """Return in words how much earlier or later one condition is than another."""
    if not difference:
        return "after as many training tokens"
    percent = f"{100 * abs(difference):.0f} %" if abs(difference) >= 0.005 else "less than 1 %"
    return f"after {percent} {'fewer' if difference < 0 else 'more'} training tokens"


def end_conclusion(rows: pd.DataFrame, metric: str) -> tuple[str, bool]:
    """Compare as `conclusion` does, by the values of a metric at the end; runs without a number there are left out."""
    first, *others = sorted(rows["n_future"].unique())
    label, sentences, unexplained = metric_words(metric, rows), [], False
    table = comparison_table(run_values(rows, metric).dropna(subset="value"), baseline=first).set_index("n_future")
    for n in others:
        if n not in table.index:
            sentences.append(f"no seed has {label} at the end with n = {first} and with n = {n}, so that nothing can be said")
            continue
        row, nats = table.loc[n], " nats" if Metric.parse(metric).unit == "nats" else ""
        way = f"{abs(row['difference']):.3g}{nats} {'lower' if row['difference'] < 0 else 'higher'}"
        effect = f"{label} is {way} with n = {n} than" if row["difference"] else f"{label} is the same with n = {n} as"
        interval = "" if math.isnan(row["low"]) else f"90 % interval {row['low']:+.3g} to {row['high']:+.3g}"
        judged = _judgement(row["pairs"], row["p_holm"])
        numbers = _numbers(interval, row["pairs"], row["p_holm"], row["p_least"])
        sentences.append(f"at the end {effect} with n = {first}{judged} ({numbers})")
        unexplained |= bool((row["low"] > 0 or row["high"] < 0) and not row["p_holm"] <= ALPHA)
    return _joined(sentences, first), unexplained


def metric_words(metric: str, frame: pd.DataFrame) -> str:
    """Return a metric in words."""
    return Metric.parse(metric).label(role_label(frame))


def _judgement(pairs: int, p_value: float) -> str:
    """Return the caution about a difference in words; "" if it is found."""
    if pairs < FEWEST:
        return ": too few seeds to tell"
    return "" if p_value <= ALPHA else ": no reliable difference"


def _numbers(interval: str, pairs: int, p_value: float, least: float, unpaired: int = 0) -> str:
    """Return interval, p-value, the least that this can be, and pairs in words."""
    test = "" if math.isnan(p_value) else f"p = {p_value:.2g}, where {counted(pairs, 'pair')} can give {least:.2g} at least"
    left_out = f"{counted(unpaired, 'run')} without a partner of the same seed left out" if unpaired else ""
    return "; ".join(filter(None, (interval, test or f"{counted(pairs, 'pair')} of seeds", left_out)))


def _joined(sentences: Sequence[str], first: object) -> str:
    if not sentences:
        return f"Only n = {first} was trained: there is nothing to compare."
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
