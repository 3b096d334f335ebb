"""When the parts of an induction circuit form, and in which order over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from lab.errors import LabError
from lab.stats.conditions import Conditions, conditions
from lab.stats.emergence import emergence_table
from lab.stats.precedence import order_table, precedence_table

THRESHOLDS: Mapping[str, float] = MappingProxyType({"previous_token": 0.5, "k_composition": 0.05, "prefix_matching": 0.5})
"""The parts of a circuit, and the value of its strongest attention head, or pair of them, from which on the part has formed."""


def strongest(frame: pd.DataFrame, by: Sequence[str] | None = None) -> Conditions:
    """Select the strongest attention head, or pair of them, of each part of the circuit, on the next-token path.

    Attention heads of prediction heads 2..N are left out: networks with more prediction heads would have more to choose from.

    Args:
        frame: From `lab.inspect("circuits", ...)`.
        by: Settings that distinguish conditions; by default those that vary.

    Returns:
        Conditions whose frame has a row for each run, step and part (`metric`). Steps at which the run was not evaluated, as
        the last of an unfinished run, are left out.

    Raises:
        LabError: If none is left; also as `lab.stats.conditions.conditions`.
    """
    frame = frame[frame["tokens"].notna()]
    if frame.empty:
        raise LabError("no run says how many tokens it had seen: it was not evaluated where its weights were kept")
    beyond = frame["site"].str.startswith("prediction.") & (frame["site"] != "prediction.1")
    described = [name for name in frame.columns if name not in ("quantity", "site", "attention_head", "sender", "value")]
    best = frame[~beyond].groupby([*described, "quantity"], sort=False, dropna=False)["value"].max().reset_index()
    return conditions(best.rename(columns={"quantity": "metric"}), by, keep="not diverged")


def circuit_times(found: Conditions) -> pd.DataFrame:
    """Compute when each part of the circuit passed its threshold in each run, at two kept steps in a row.

    A part that a network cannot have, as the composition of two layers where only one has attention, never forms.

    Args:
        found: From `strongest`.

    Returns:
        `run`, `condition`, `seed`, and for each part its name with the tokens seen and `<part>_observed`.
    """
    rows = found.frame.filter(["run", "condition", "seed", "state", "tokens", "metric", "value"])  # state: if there is one
    tables = [emergence_table(rows, part, thresholds={part: level}, by=("condition",)) for part, level in THRESHOLDS.items()]
    keys = ["run", "condition", "seed"]
    whole = rows[keys].drop_duplicates("run").sort_values(keys, ignore_index=True).astype({"condition": "str"})
    last = rows.groupby("run")["tokens"].max().astype(float)
    for part, table in zip(THRESHOLDS, tables, strict=True):
        moments = table.set_index("run")[[part, f"{part}_observed"]]
        whole = whole.join(moments, on="run")
        whole[part] = whole[part].astype(float).fillna(whole["run"].map(last))
        whole[f"{part}_observed"] = whole[f"{part}_observed"].eq(True)
    return whole


def circuit_orders(frame: pd.DataFrame, by: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Count the orders in which the parts of the circuit formed, over the seeds of each condition.

    Args:
        frame: From `lab.inspect("circuits", ..., step="all")`.
        by: Settings that distinguish conditions; by default those that vary.

    Returns:
        By title, the moments of each run in tokens seen (`> 9000`: not within its 9000 tokens), `order_table` and
        `precedence_table`; none for a frame with fewer than two steps of each run.
    """
    if frame.groupby("run")["step"].nunique().max() < 2:
        return {}
    times = circuit_times(strongest(frame, by))
    parts = list(THRESHOLDS)
    moments = times[["condition", "seed"]].assign(
        **{
            part: [
                f"{'' if seen else '> '}{tokens:.0f}"
                for tokens, seen in zip(times[part], times[f"{part}_observed"], strict=True)
            ]
            for part in parts
        }
    )
    return {
        "tokens seen when the parts formed": moments.sort_values(["condition", "seed"], ignore_index=True),
        "orders in which the parts formed": order_table(times, parts, ["condition"]),
        "every two parts": precedence_table(times, parts, ["condition"]),
    }
