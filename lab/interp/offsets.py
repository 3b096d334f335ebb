"""Linear probes of a network's states for the coming tokens, by offset."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from lab.errors import LabError, check_count
from lab.interp.probe import probe
from lab.model import Network
from tasks import Task
from tasks.errors import nearest


def offsets(
    network: Network,
    task: Task,
    *,
    ahead: int = 4,
    role: str = "",
    sequences: int = 1024,
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Measure linear probes of each layer for the token i later, by the offset i, with controls.

    One probe is fitted for each layer and offset, on the states before a scored token x_{t+1} at all positions t from which
    the sequence has i tokens more. See `lab.interp.probe.probe`.

    Args:
        network: Any network.
        task: Its task.
        ahead: Largest offset.
        role: Role of x_{t+1}; by default any scored token's.
        sequences: Number of sequences to fit on, and of others to score.
        split: Split that is scored: validation or test.
        seed: Of the sequences, the shuffled labels and the untrained network.

    Returns:
        `site`, `layer` (its depth, see `lab.interp.residual`), `offset`, `control` (as of `probe`) and `value`, the accuracy.

    Raises:
        LabError: For an unknown role, an `ahead` below 1, and as `probe`.
        TaskError: For a wrong split or seed.
    """
    ahead = check_count("ahead", ahead)
    if role and role not in task.roles[1:]:
        raise LabError(f"role: {task.name} has no {role!r}; {nearest(role, task.roles[1:])}")
    names = {f"token t+{offset}": offset for offset in range(1, min(ahead, task.length - 1) + 1)}
    pool: Literal["role", "scored"] = "role" if role else "scored"
    targets = ",".join(names)
    frame = probe(network, task, targets=targets, ahead=ahead, pool=pool, sequences=sequences, split=split, seed=seed)
    frame = frame[frame["role"] == role]
    if frame.empty:
        raise LabError(f"role must be that of more tokens: before {role} too few states know the next token")
    return frame.assign(offset=frame["target"].map(names))[["site", "layer", "offset", "control", "value"]]
