"""Decoding of several runs, as the frames that the figures `acceptance` and `speedup` draw."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.errors import LabError
from lab.evaluation.decode import decode, time_decoding
from lab.runs import Run
from lab.runs.run import describe
from lab.runs.search import choose_steps

PROMPTS = 64
"""Held-out sequences of each run from which prompts are taken."""
BATCHES = (1, 2, 4, 8, 16, 32)
"""Sequences at a time."""


def decode_runs(runs: Sequence[Run], prompts: int = PROMPTS) -> pd.DataFrame:
    """Decode greedily with all prediction heads at every kept step.

    Args:
        runs: Finished runs; those of one prediction head draft nothing and are left out.
        prompts: Held-out sequences from which prompts are taken.

    Returns:
        The columns of `lab.frame` that describe a run, with one for each setting in which the runs differ; then `heads`,
        `nodes`, `batch`, `step`, `tokens`, `metric` and `value` of `Decoded.frame`.

    Raises:
        LabError: If no run has 2 prediction heads, and as `decode`.
    """
    drafting = _with_drafts(runs)
    parts = [[decode(run, prompts=prompts, step=step).frame for step in choose_steps(run, "all")] for run in drafting]
    return _joined(drafting, [pd.concat(each) for each in parts])


def time_runs(runs: Sequence[Run], batches: Sequence[int] = BATCHES, rounds: int = 3) -> pd.DataFrame:
    """Time greedy decoding with 1 to n_future prediction heads.

    Args:
        runs: As of `decode_runs`.
        batches: Sequences at a time.
        rounds: How often each is timed.

    Returns:
        The columns of `decode_runs` with the metrics of `time_decoding`.

    Raises:
        LabError: As `decode_runs`.
    """
    drafting = _with_drafts(runs)
    return _joined(drafting, [time_decoding(run, sequences=batches, rounds=rounds) for run in drafting])


def _with_drafts(runs: Sequence[Run]) -> list[Run]:
    drafting = [run for run in runs if run.experiment.n_future > 1]
    if not drafting:
        raise LabError("no run has 2 prediction heads, so that nothing can be drafted")
    return drafting


def _joined(runs: Sequence[Run], parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the frames of single runs; the columns that describe a run are those of all runs together."""
    measured = ["heads", "nodes", "batch", "step", "tokens", "metric", "value"]
    described, joined = describe(runs), []
    for number, part in enumerate(parts):
        columns = {str(name): value for name, value in described.iloc[number].items()}
        joined.append(part[measured].assign(**columns)[[*columns, *measured]])
    return pd.concat(joined, ignore_index=True)
