"""Emergence: the tokens seen at which a capability passes a threshold and stays there.

There are two thresholds, since they can move in opposite directions: onset, where a capability begins, and completion.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from lab.errors import LabError
from lab.stats.bootstrap import escaped_share
from lab.stats.conditions import ended_early, require_one_configuration

ONSET, COMPLETION = 0.5, 0.9
HOLD = 2
"""Evaluation points in a row, the first included, at which the threshold must be met."""


class Emergence(NamedTuple):
    """The time at which a curve passed a threshold.

    Attributes:
        tokens: Tokens seen at the first evaluation point of those that hold; the last point where it never did. The resolution
            is the distance between evaluation points: nothing is interpolated.
        observed: False if it never happened within the run: the time is then right-censored, only known to be later.
    """

    tokens: float
    observed: bool


def emergence(tokens_seen: Sequence[float], values: Sequence[float], threshold: float, hold: int = HOLD) -> Emergence:
    """Find the first evaluation point from which on a metric is at or above a threshold `hold` times in a row.

    A curve that ends before the threshold is confirmed counts as not having passed it: too few points are no evidence.

    Args:
        tokens_seen: Of each evaluation point, growing.
        values: Of the metric there; more is better.
        threshold: To be met or passed.
        hold: Points in a row, 1 or more.

    Raises:
        ValueError: If the two differ in length, are empty, or do not grow.
    """
    if len(tokens_seen) != len(values) or not len(values):
        raise ValueError(f"a curve needs as many values as tokens, and at least one; got {len(values)} and {len(tokens_seen)}")
    if any(later <= before for before, later in itertools.pairwise(tokens_seen)):
        raise ValueError("tokens seen must grow from point to point")
    if hold < 1:
        raise ValueError(f"hold must be at least 1, not {hold}")
    in_a_row = 0
    for position, value in enumerate(values):
        in_a_row = in_a_row + 1 if value >= threshold else 0
        if in_a_row == hold:
            return Emergence(float(tokens_seen[position - hold + 1]), observed=True)
    return Emergence(float(tokens_seen[-1]), observed=False)


THRESHOLDS: Mapping[str, float] = MappingProxyType({"onset": ONSET, "completion": COMPLETION})


def emergence_table(
    frame: pd.DataFrame,
    metric: str,
    hold: int = HOLD,
    *,
    thresholds: Mapping[str, float] = THRESHOLDS,
    by: Sequence[str] = ("n_future",),
) -> pd.DataFrame:
    """Compute when a metric of every run passed some thresholds.

    Args:
        frame: A tidy frame (`lab.frame`).
        metric: As `accuracy/copy/1`.
        hold: As for `emergence`.
        thresholds: By name.
        by: Columns of the frame that name the condition.

    Returns:
        One row for each run: `run`, the columns of `by`, `seed`, and for each threshold its name with the tokens seen, and
        `<name>_observed` with whether it was passed. A run that diverged (column `state`) never passes any: its time is
        right-censored at the last point of the longest run.

    Raises:
        LabError: If runs that agree in `by` differ in another setting: they are not seeds of each other. Or if a run ended
            early (`evaluation.stop`) and had not passed a threshold: its end depends on its curve, so that it is not censored
            as the others are. Or if the tokens seen at an evaluation point are missing, or those of another.
    """
    frame = frame[frame["metric"] == metric]
    require_one_configuration(frame, by)
    keys = ["run", *by, "seed"]
    _check_tokens(frame, keys)
    diverged = set(frame.loc[frame["state"] == "diverged", "run"]) if "state" in frame else set()
    rows = []
    for run, curve in frame.groupby(keys, sort=True, dropna=False):
        curve = curve.sort_values("tokens")
        row: dict[str, object] = dict(zip(keys, run, strict=True))
        for name, threshold in thresholds.items():
            time = emergence(curve["tokens"].tolist(), curve["value"].tolist(), threshold, hold)
            if not time.observed and ended_early(curve).iloc[0]:
                raise LabError(
                    f"{row['run']} ended once {curve['reached'].iloc[0]} (evaluation.stop): "
                    f"when {metric} passes {threshold:g} is not known; use a threshold that it passed"
                )
            if row["run"] in diverged:
                time = Emergence(float(frame["tokens"].max()), observed=False)
            row |= {name: time.tokens, f"{name}_observed": time.observed}
        rows.append(row)
    return pd.DataFrame(rows, columns=[*keys, *(column for name in thresholds for column in (name, f"{name}_observed"))])


def _check_tokens(frame: pd.DataFrame, keys: Sequence[str]) -> None:
    """Reject a frame, as one that was written or edited by hand, whose tokens cannot time an event.

    Raises:
        LabError: Naming a run.
    """
    if "tokens" not in frame:
        raise LabError("the runs do not say their tokens, in which times are measured: the frame has no column tokens")
    wrong = frame["tokens"].isna() | frame.duplicated([*keys, "tokens"])
    if wrong.any():
        run = frame.loc[wrong, "run"].iloc[0]
        raise LabError(f"{run}: the tokens seen must be a number at every evaluation point, and another one at each")


def escape_table(times: pd.DataFrame, which: str, by: Sequence[str] = ("n_future",)) -> pd.DataFrame:
    """Compute the share of runs that passed a threshold, for each condition.

    Args:
        times: From `emergence_table`.
        which: One of its thresholds.
        by: Columns that make a condition.

    Returns:
        One row for each condition: the columns of `by`, `escaped` of `runs`, their `share` and its exact 90 % interval `low`,
        `high` (`escaped_share`).
    """
    rows = []
    for condition, part in times.groupby(list(by), sort=True, dropna=False):
        share = escaped_share(part[f"{which}_observed"])
        rows.append([*condition, int(part[f"{which}_observed"].sum()), share.n, share.mean, share.low, share.high])
    return pd.DataFrame(rows, columns=[*by, "escaped", "runs", "share", "low", "high"])
