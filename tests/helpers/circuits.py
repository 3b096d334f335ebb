"""Frames of the instrument `circuits` with given curves."""

from collections.abc import Mapping

import pandas as pd

STEPS = (0, 10, 20, 30)


def circuits_frame(curves: Mapping[tuple[int, int], Mapping[str, tuple[float, ...]]]) -> pd.DataFrame:
    """Return a frame of `circuits`: the curve over `STEPS` of each part, by n and seed, and weaker attention heads."""
    rows = []
    for (n, seed), parts in curves.items():
        of_run = {"run": f"n{n}-{seed}", "task": "induction", "n_future": n, "seed": seed, "parameters": 9, "state": "finished"}
        for part, values in parts.items():
            sender = "trunk.0/1" if part == "k_composition" else ""
            for step, value in zip(STEPS, values, strict=True):
                for site, weaker in (("trunk.1", 0.0), ("prediction.1", 0.01), ("prediction.2", -0.9)):
                    where = {"quantity": part, "site": site, "attention_head": 0, "sender": sender}
                    rows.append({**of_run, "step": step, "tokens": step * 100.0, **where, "value": value - weaker})
    return pd.DataFrame(rows)
