"""The values of an instrument that matter first, side by side for all conditions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.stats.inspected import last_means
from lab.stats.strongest import side_by_side


def choice_weights(frame: pd.DataFrame, by: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return the weight of each role's tokens.

    Args:
        frame: From `lab.inspect("choice-points", ...)`, of which the last step of each run counts.
        by: Settings that distinguish conditions; by default those that vary.

    Returns:
        A table by title. A column for each condition has the mean over seeds and its 90 % interval.
    """
    return {"weights of roles relative to n = 1, and their shares": _summary(frame, ["role", "quantity"], by)}


def answer_errors(frame: pd.DataFrame, by: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return the quantities of whole answers; arguments as `choice_weights`, of a frame of `derailing`."""
    whole = frame[frame["position"] < 0].drop(columns="position")
    return {"answers that the network completed, all positions": _summary(whole, ["quantity", "role"], by)}


def _summary(frame: pd.DataFrame, coordinates: list[str], by: Sequence[str] | None) -> pd.DataFrame:
    means = last_means(frame, coordinates, by).table
    return side_by_side(means.drop(columns=["step", "seeds"]), largest=False)
