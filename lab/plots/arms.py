"""Arms of a study: runs that agree in everything but the seed, with a name that a legend can carry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lab.errors import LabError
from tasks.errors import nearest

MEASURED = ("step", "tokens", "scored_tokens", "sequences", "flops", "seconds", "metric", "value")
"""Columns of a frame that differ within a run."""
DERIVED = ("run", "task", "seed", "parameters")
"""Columns that name a run or follow from its settings."""


def varied_settings(frame: pd.DataFrame) -> list[str]:
    """The columns of a frame that are settings in which its runs differ, the seed left out."""
    settings = [name for name in frame.columns if name not in (*MEASURED, *DERIVED)]
    return [name for name in settings if name == "n_future" or frame[name].astype(str).nunique() > 1]


def with_arms(frame: pd.DataFrame, by: Sequence[str] = ("n_future",)) -> pd.DataFrame:
    """A frame with one more column, `arm`: a name for each combination of some settings, in sorted order.

    Args:
        frame: A tidy frame.
        by: Columns that tell arms apart.

    Raises:
        LabError: If the frame has no such column.
    """
    for name in by:
        if name not in frame.columns:
            raise LabError(f"the runs do not differ in {name!r}; {nearest(name, varied_settings(frame))}")
    combinations = frame[list(by)].drop_duplicates().sort_values(list(by), na_position="first")
    names = {tuple(map(str, values)): arm_name(by, values) for values in combinations.itertuples(index=False)}
    labels = [names[tuple(map(str, values))] for values in frame[list(by)].itertuples(index=False)]
    return frame.assign(arm=pd.Categorical(labels, categories=list(dict.fromkeys(names.values())), ordered=True))


def arm_name(by: Sequence[str], values: Sequence[object]) -> str:
    """A combination of settings in a few words, as `n = 2, detached, layers = 5`."""
    return ", ".join(_words(name, value) for name, value in zip(by, values, strict=True) if not _missing(value))


def _words(name: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column with gaps is a column of floats
    if name == "n_future":
        return f"n = {value}"
    last = name.rpartition(".")[2]
    return str(value) if isinstance(value, str) and last in ("arm", "name", "heads", "size") else f"{last} = {value}"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
