"""The order of events within a run, counted over the seeds of a condition."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd
import scipy

from lab.stats.paired import corrected


def order_table(times: pd.DataFrame, events: Sequence[str], by: Sequence[str] = ("n_future",)) -> pd.DataFrame:
    """Count the orders in which events come, for each condition.

    Args:
        times: One row for each run: for each event its name with the tokens seen, and `<event>_observed`, False where it never
            came within the run (as `lab.stats.emergence.emergence_table`).
        events: Names of the events.
        by: Columns that make a condition.

    Returns:
        One row for each condition and order that occurs, the most frequent first: the columns of `by`, `order` (such as
        `previous < composition = matching; never: copying`; `=` joins events at the same evaluation point), `seeds` with it,
        and `of` how many.
    """
    orders = times.assign(order=[_order(row, events) for _, row in times.iterrows()])
    rows = []
    for condition, part in orders.groupby(list(by), sort=True, dropna=False, observed=True):
        rows += [[*condition, order, count, len(part)] for order, count in part["order"].value_counts().items()]
    return pd.DataFrame(rows, columns=[*by, "order", "seeds", "of"])


def precedence_table(times: pd.DataFrame, events: Sequence[str], by: Sequence[str] = ("n_future",)) -> pd.DataFrame:
    """Count in how many runs the first of two events comes before the second, for each condition and every two events.

    An event that came precedes one that did not come within the run, since that is later than the end of the run.

    Args:
        times: As of `order_table`.
        events: Names of the events.
        by: Columns that make a condition.

    Returns:
        One row for each condition and two events: the columns of `by`, `first`, `second`, then numbers of runs: `before`,
        `together` (at the same evaluation point), `after`, `neither` came; of which `censored` have one that never came;
        `p_value` (two-sided exact sign test of before against after), `p_holm`, `p_least`.
    """
    rows = []
    for condition, part in times.groupby(list(by), sort=True, dropna=False, observed=True):
        for first, second in itertools.combinations(events, 2):
            seen_a, seen_b = (part[f"{name}_observed"].astype(bool) for name in (first, second))
            both = seen_a & seen_b
            before = int((both & (part[first] < part[second])).sum() + (seen_a & ~seen_b).sum())
            after = int((both & (part[first] > part[second])).sum() + (seen_b & ~seen_a).sum())
            together, neither = int((both & (part[first] == part[second])).sum()), int((~seen_a & ~seen_b).sum())
            counted = [before, together, after, neither, int((seen_a ^ seen_b).sum())]
            rows.append([*condition, first, second, *counted, _sign_test(before, before + after)])
    counts = ["before", "together", "after", "neither", "censored"]
    table = pd.DataFrame(rows, columns=[*by, "first", "second", *counts, "p_value"])
    return corrected(table, "p_value", [_sign_test(0, untied) for untied in table["before"] + table["after"]])


def _sign_test(before: int, untied: int) -> float:
    """Compute the two-sided p-value of the exact sign test; 1 where all runs are tied."""
    return float(scipy.stats.binomtest(before, untied).pvalue) if untied else 1.0


def _order(row: pd.Series, events: Sequence[str]) -> str:
    came = sorted((name for name in events if row[f"{name}_observed"]), key=lambda name: (row[name], events.index(name)))
    groups = [" = ".join(group) for _, group in itertools.groupby(came, key=lambda name: row[name])]
    never = [name for name in events if not row[f"{name}_observed"]]
    return "; ".join([*([" < ".join(groups)] if groups else []), *([f"never: {', '.join(never)}"] if never else [])])
