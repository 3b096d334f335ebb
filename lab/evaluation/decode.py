"""Decoding of runs: completions, their forward passes, and the acceptance of drafts.

B sequences, P tokens of the longest prompt.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from lab.decoding import Completion, Sampling, Tree, complete, derive_tree, speculate
from lab.decoding.calibration import rank_drafts
from lab.decoding.differences import Difference, find_differences, smallest_gap
from lab.errors import LabError, check_count
from lab.evaluation.drafts import (
    Prompts,
    check_draft,
    count_new_tokens,
    draft_metrics,
    find_end_token,
    open_finished,
    prompt_tokens,
)
from lab.evaluation.state import evaluation_mode, has_finite_weights
from lab.model import Network
from lab.runs import Run
from lab.runs.isolation import isolated
from lab.runs.run import tabulate
from lab.runs.search import choose_steps
from lab.runs.tables import Row

Step = int | Literal["last"]
"""Which kept weights of a run: the last, or those after a number of optimiser steps."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Completions of a run, and the metrics of their drafts.

    Attributes:
        completion: Tokens, forward passes, accepted drafts.
        frame: The columns of `lab.frame`, with `heads`, `nodes` and `batch` (sequences) after `run`; a row for each metric.
        tree: The tree of drafts; None for head 1 alone.
        differences: The first position of each sequence at which greedy output differs from that of head 1 alone.
        text: The words of each sequence, prompt included.
    """

    completion: Completion
    frame: pd.DataFrame
    tree: Tree | None
    differences: tuple[Difference, ...]
    text: tuple[tuple[str, ...], ...]


def decode(
    run: Run | Path | str,
    *,
    draft: int | Tree | None = None,
    prompts: Prompts = 8,
    new_tokens: int | None = None,
    sampling: Sampling | None = None,
    step: Step = "last",
) -> Decoded:
    """Complete prompts with a run's network and measure its drafts.

    Args:
        run: A finished run.
        draft: Prediction heads to use, head 1 included: heads 2 to `draft` draft blockwise (1: head 1 alone); or a tree; by
            default all heads.
        prompts: Of the task, shorter than its sequences.
        new_tokens: Of each sequence, unless it ends; by default up to the task's length.
        sampling: How tokens are drawn; None for greedy decoding.
        step: Which kept weights: the last, or those after a number of optimiser steps.

    Raises:
        LabError: If the run is not finished, cannot decode or draft (the message says why), or a prompt does not fit.
        TaskError: If a prompt has a word that is none of the task's.
    """
    opened = open_finished(run)
    tree = check_draft(opened, draft)
    (chosen,) = choose_steps(opened, step)
    rows = prompt_tokens(opened.experiment.task, prompts, opened.experiment.evaluation.split)
    count, stop = count_new_tokens(opened.experiment.task, rows, new_tokens), find_end_token(opened.experiment.task)
    with _network(opened, chosen) as network:
        done = _complete(network, rows, count, tree, stop, sampling)
        values = draft_metrics(done, opened.experiment.task, 1 if tree is None else tree.heads)
        differences: list[Difference] = []
        if tree is not None and sampling is None:
            alone = complete(network, rows, count, stop)
            differences = find_differences(network, alone, done)
            values |= {"differences": len(differences), "smallest_gap": smallest_gap(network, alone)}
    frame = _frame(opened, chosen, values, tree, len(rows))
    words = tuple(tuple(opened.experiment.task.word(token) for token in tokens.tolist()) for tokens in done.sequences)
    return Decoded(done, frame, tree, tuple(differences), words)


def calibrate(run: Run | Path | str, nodes: int, *, sequences: int = 64, step: Step = "last") -> Tree:
    """Derive the tree of `nodes` drafts that accepts most on the validation split, on other sequences than those of `decode`.

    Args:
        run: A finished run with 2 prediction heads at least.
        nodes: Drafted tokens of a forward pass.
        sequences: Held-out sequences whose prompts head 1 completes greedily.
        step: As of `decode`.

    Raises:
        LabError: As `decode`.
    """
    opened = open_finished(run)
    check_draft(opened, None if opened.experiment.n_future > 1 else 2)
    (chosen,) = choose_steps(opened, step)
    rows = prompt_tokens(opened.experiment.task, check_count("sequences", sequences), "validation", index=1)
    with _network(opened, chosen) as network:
        done = complete(
            network, rows, count_new_tokens(opened.experiment.task, rows, None), find_end_token(opened.experiment.task)
        )
        return derive_tree(rank_drafts(network, done), nodes)


def time_decoding(
    run: Run | Path | str,
    *,
    drafts: Sequence[int | Tree] | None = None,
    sequences: Sequence[int] = (1,),
    prompts: Sequence[str] | Sequence[Sequence[int]] | None = None,
    new_tokens: int | None = None,
    rounds: int = 5,
    step: Step = "last",
) -> pd.DataFrame:
    """Time greedy decoding against head 1 alone with the same cache: interleaved, medians over rounds, one process.

    Args:
        run: A finished run.
        drafts: Heads to use, or trees; by default 1 to n_future heads.
        sequences: Batch sizes.
        prompts: Of which each batch takes the first; by default those of held-out sequences.
        new_tokens: As of `decode`.
        rounds: How often each is timed.
        step: As of `decode`.

    Returns:
        As `Decoded.frame`: for each draft and batch size `seconds`, `speedup` (the median over rounds of head 1's time divided
        by the draft's) and `tokens_per_forward`.

    Raises:
        LabError: If `rounds` or a batch size is below 1 or there is none, if there are fewer prompts, and as `decode`.
    """
    rounds = check_count("rounds", rounds)
    _check_list("sequences", sequences, "batch sizes")
    if drafts is not None:
        _check_list("drafts", drafts, "heads or trees")
    sequences = [check_count("sequences", size) for size in sequences]
    if prompts is not None and max(sequences) > len(prompts):
        raise LabError(f"sequences must be batch sizes of at most the {len(prompts)} prompts, not {list(sequences)}")
    opened = open_finished(run)
    task, (chosen,) = opened.experiment.task, choose_steps(opened, step)
    trees = [check_draft(opened, draft) for draft in (range(1, opened.experiment.n_future + 1) if drafts is None else drafts)]
    frames = []
    with _network(opened, chosen) as network:
        for size in sequences:
            rows = prompt_tokens(task, size if prompts is None else prompts[:size], opened.experiment.evaluation.split)
            count = count_new_tokens(task, rows, new_tokens)
            calls = [_caller(network, rows, count, tree) for tree in (None, *trees)]
            done, seconds = [call() for call in calls], [[_seconds(call) for call in calls] for _ in range(rounds)]
            for number, tree in enumerate(trees, start=1):
                values = {
                    "seconds": statistics.median(each[number] for each in seconds),
                    "speedup": statistics.median(each[0] / each[number] for each in seconds),
                    "tokens_per_forward": done[number].tokens_per_forward,
                }
                frames.append(_frame(opened, chosen, values, tree, size))
    return pd.concat(frames, ignore_index=True)


def _check_list(name: str, value: object, what: str) -> None:
    if not isinstance(value, Sequence) or not value:
        raise LabError(f"{name} must be a list of {what}, not {value!r}")


@contextmanager
def _network(run: Run, step: int) -> Iterator[Network]:
    """Load a run's network for decoding.

    Raises:
        LabError: If a weight is not finite.
    """
    network = run.model(step)
    if not has_finite_weights(network):
        raise LabError(f"{run.path}: a weight is not finite, so that there is nothing to decode")
    with isolated(run.experiment), torch.no_grad(), evaluation_mode(network):
        yield network


def _complete(
    network: Network, prompts: Sequence[Tensor], count: int, tree: Tree | None, stop: int | None, sampling: Sampling | None
) -> Completion:
    if tree is None:
        return complete(network, prompts, count, stop, sampling)
    return speculate(network, prompts, count, tree, stop, sampling)


def _caller(network: Network, prompts: Sequence[Tensor], count: int, tree: Tree | None) -> Callable[[], Completion]:
    return lambda: _complete(network, prompts, count, tree, None, None)


def _seconds(call: Callable[[], Completion]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _frame(run: Run, step: int, values: Mapping[str, float], tree: Tree | None, batch: int) -> pd.DataFrame:
    """Return metrics as a table with the columns of `lab.frame`."""
    counts = {row.step: (row.tokens, row.scored_tokens) for row in run.metrics()}
    tokens, scored_tokens = counts.get(step, (math.nan, math.nan))
    frame = tabulate([(run, [Row(step, tokens, scored_tokens, metric, value) for metric, value in values.items()])])
    described = {
        "heads": 1 if tree is None else tree.heads,
        "nodes": 0 if tree is None else len(tree.paths),
        "batch": batch,
    }
    for position, (name, value) in enumerate(described.items(), start=1):
        frame.insert(position, name, value)
    return frame
