"""The configuration of a study of self-speculative decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """The configuration of a study of self-speculative decoding.

    Attributes:
        name: Name of the study; its sweeps' names begin with it.
        title: Title of the page, with `{scale}` in it.
        expectation: What was expected, written before the runs.
        scales: Settings that all runs share, by scale.
        n_futures: Numbers of prediction heads that are trained.
        seeds: Seeds of each number.
        prompt: Tokens of a prompt, which are the first of a test sequence.
        new_tokens: Tokens that each prompt gets.
        paper: The paper's numbers by heads used, metric and column.
        prompts: Prompts that are decoded.
        batches: Batch sizes that are timed.
    """

    name: str
    title: str
    expectation: str
    scales: Mapping[str, Mapping[str, Any]]
    n_futures: Sequence[int]
    seeds: range
    prompt: int
    new_tokens: int
    paper: Mapping[int, Mapping[str, Mapping[str, float]]]
    prompts: int = 64
    batches: Sequence[int] = (1, 8, 32)
