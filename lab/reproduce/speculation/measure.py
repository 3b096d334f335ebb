"""What a study of self-speculative decoding measures of each run."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from lab.evaluation.decode import decode, time_decoding
from lab.reproduce.speculation.configuration import Speculation
from lab.runs import Run

COLUMNS = ["n_future", "seed", "quantity", "heads", "batch", "metric", "value"]


def measure(study: Speculation, runs: Sequence[Run]) -> pd.DataFrame:
    """Decode greedily with 1 to n heads on prompts of the test split, and time it in the first run of each n.

    Args:
        study: The configuration.
        runs: Finished runs.

    Returns:
        `n_future`, `seed`, `quantity` (`drafts` or `time`), `heads` (used), `batch`, `metric` and `value`.
    """
    first = {run.experiment.n_future: run for run in reversed(runs)}
    timed = [_times(study, run) for run in first.values()]
    return pd.concat([*(_drafts(study, run) for run in runs), *timed], ignore_index=True)[COLUMNS]


def _drafts(study: Speculation, run: Run) -> pd.DataFrame:
    n, task = run.experiment.n_future, run.experiment.task
    prompts = task.batch(0, 0, study.prompts, "test").tokens[:, : study.prompt].tolist()
    drafts = [decode(run, draft=heads, prompts=prompts, new_tokens=study.new_tokens).frame for heads in range(1, n + 1)]
    return pd.concat(drafts, ignore_index=True).assign(quantity="drafts", n_future=n, seed=run.experiment.seed)


def _times(study: Speculation, run: Run) -> pd.DataFrame:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = time_decoding(run, sequences=study.batches, new_tokens=study.new_tokens, rounds=3)
    finally:
        torch.set_num_threads(threads)
    timed = times[times["metric"] == "speedup"]
    return timed.assign(quantity="time", n_future=run.experiment.n_future, seed=run.experiment.seed)
