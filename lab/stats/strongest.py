"""The components and states with the largest effects, side by side for all conditions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.stats.inspected import last_means

_ROWS = 12


def strongest_components(frame: pd.DataFrame, by: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return the components without which the loss changes most, and those chosen on another split.

    Args:
        frame: From `lab.inspect("ablation", ...)`, of which the last step of each run counts.
        by: Settings that distinguish conditions; by default those that vary.

    Returns:
        Tables by title. A column for each condition has the mean over seeds and its 90 % interval, in nats.
    """
    means = _means(frame, ["component", "site", "attention_head"], "loss added", by)
    compared = means["site"].isin(["chosen", "others"])
    tables = {"loss added without a component, nats: the largest": side_by_side(means[~compared])}
    if compared.any():
        chosen = means[compared].drop(columns="attention_head")
        tables["loss added without the component chosen on another split, and without others, nats"] = side_by_side(
            chosen, largest=False
        )
    return tables


def strongest_states(frame: pd.DataFrame, by: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return the states of single components that change the logit difference most; arguments as `strongest_components`.

    The residual stream is left out, since each of its states along a path carries all of it.
    """
    coordinates = ["component", "site", "attention_head", "position", "role"]
    means = _means(frame, coordinates, "restored", by)
    found = side_by_side(means[means["component"] != "residual"])
    return {"share of the logit difference that a clean state restores: the largest": found}


def _means(frame: pd.DataFrame, coordinates: list[str], quantity: str, by: Sequence[str] | None) -> pd.DataFrame:
    means = last_means(frame, [*coordinates, "quantity"], by).table
    return means[means["quantity"] == quantity].drop(columns=["step", "quantity", "seeds"])


def side_by_side(means: pd.DataFrame, *, largest: bool = True) -> pd.DataFrame:
    """Return a column of text for each condition; of all rows, or of those with the mean farthest from 0."""
    keys = [name for name in means.columns if name not in ("condition", "mean", "low", "high")]
    text = [
        f"{mean:.2f}" if low != low else f"{mean:.2f} [{low:.2f}, {high:.2f}]"
        for mean, low, high in means[["mean", "low", "high"]].itertuples(index=False)
    ]
    wide = means.assign(text=text).set_index([*keys, "condition"])["text"].unstack(sort=False)
    if largest:
        size = means.assign(size=means["mean"].abs()).groupby(keys)["size"].max()
        wide = wide.loc[size.sort_values(ascending=False, kind="stable").index[:_ROWS]]
    table = wide.fillna("").reset_index()
    return table.replace({"attention_head": {-1: ""}}).rename_axis(columns=None).astype(str)
