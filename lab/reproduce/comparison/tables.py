"""The tables of a family: its runs, their escapes at equal tokens and at equal FLOPs, and the values at the end."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lab.reproduce.comparison.configuration import Comparison, Family
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.stats.bootstrap import mean_beside_share, mean_with_interval, share_with_interval
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import emergence_table
from lab.stats.paired import corrected, least_p_of_pairs, paired_comparison
from lab.stats.survival import survival_comparisons
from lab.stats.times import each_time


def run_table(family: Family, own: pd.DataFrame, rates: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Return for each condition its cost, how many runs escaped and solved, and the value at the end.

    Args:
        family: The family.
        own: Its rows of the frame.
        rates: The peak rate of each condition, where they differ.
    """
    ends, rows = run_values(own, family.metric), []
    times = times_of(family, own)
    for name in family.conditions:
        part, values = times[times[CONDITION] == name], ends[ends[CONDITION] == name]
        row = {"condition": name} | ({} if rates is None else {"peak rate": f"{rates[name]:g}"})
        row["FLOPs of a step"] = f"{values['cost'].iloc[0]:.2f}"
        if family.escaped is None:
            rows.append(row | {"at the end": mean_with_interval(values["value"].tolist())})
            continue
        escaped = part["escaped_observed"].astype(bool).tolist()
        row["escaped"] = share_with_interval(escaped)
        if family.solved is not None:
            row["solved"] = share_with_interval(part["solved_observed"].astype(bool).tolist())
        row["accuracy at the end"] = mean_beside_share(values["value"].tolist(), escaped)
        rows.append(row | {"M tokens until the escape, each seed": each_time(part, "escaped")})
    return pd.DataFrame(rows)


def times_of(family: Family, own: pd.DataFrame) -> pd.DataFrame:
    """Return when each run of a family escaped and solved: see `emergence_table`; no columns of times without a plateau."""
    thresholds = {"escaped": family.escaped, "solved": family.solved}
    known = {name: value for name, value in thresholds.items() if value is not None}
    return emergence_table(own, family.metric, thresholds=known, by=[CONDITION])


def escape_table(family: Family, own: pd.DataFrame, at_equal: str) -> pd.DataFrame:
    """Compare the escape of each condition with the baseline's, in tokens or in FLOPs: see `survival_comparisons`.

    FLOPs are counted in tokens of the condition whose cost is 1.
    """
    scaled = own.assign(tokens=own["tokens"] * own["cost"]) if at_equal == "FLOPs" else own
    compared = survival_comparisons(times_of(family, scaled), "escaped", CONDITION, baseline=family.reference)
    ordered = compared.set_index("b").loc[[name for name in family.conditions if name != family.reference]]
    words = {"b": "condition", "emerged_b": "escaped", "runs_b": "runs"}
    return ordered.reset_index().drop(columns=["a", "emerged_a", "runs_a"]).rename(columns=words)


def end_table(family: Family, own: pd.DataFrame) -> pd.DataFrame:
    """Compare the value of each condition at the end with the baseline's over pairs of seeds."""
    return comparison_table(run_values(own, family.metric), CONDITION, family.reference)


def interaction_table(comparison: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    """Compare differences from the baseline at the end between families, over the seeds that both have.

    Returns:
        A row for each pair of families of `Comparison.against` in the frame and each condition: `family`, `against`,
        `condition`, `pairs`, `change` (the difference from the baseline in the family, less that in the other), its 90 %
        interval `low`, `high`, and the p-value of the exact sign-flip test, corrected over all rows.
    """
    present, rows = set(frame[FAMILY]), []
    for name, other in comparison.against.items():
        if not {name, other} <= present:
            continue
        own, theirs = (_differences(comparison.families[each], frame[frame[FAMILY] == each]) for each in (name, other))
        for condition in own.columns:
            both = pd.concat([theirs[condition], own[condition]], axis=1, join="inner").dropna().to_numpy()
            found = paired_comparison(both[:, 0], both[:, 1])
            rows.append([name, other, condition, found.n, found.difference, found.low, found.high, found.p_value])
    table = pd.DataFrame(rows, columns=[FAMILY, "against", CONDITION, "pairs", "change", "low", "high", "p_value"])
    return corrected(table, "p_value", [least_p_of_pairs(pairs) for pairs in table["pairs"]])


def _differences(family: Family, own: pd.DataFrame) -> pd.DataFrame:
    """Return how much each condition differs from the baseline at the end: a row for each seed, a column for each condition."""
    values = run_values(own, family.metric).pivot(index="seed", columns=CONDITION, values="value")
    return values.drop(columns=family.reference).sub(values[family.reference], axis=0)
