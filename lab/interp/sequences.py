"""The sequences on which instruments run a network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lab.errors import LabError, check_count
from lab.model import Network
from lab.objectives import hide_answer
from tasks import Batch, Task


class Sequences(NamedTuple):
    """Sequences of a task on a network's device. B sequences, T positions.

    Attributes:
        batch: As the task draws them.
        inputs_BT: int64, the network's input: the tokens, with the answer hidden from a teacherless network.
        tokens_BT: int64.
        roles_BT: int64, index into `task.roles`.
        scored_BT: bool, whether a token counts as a target.
    """

    batch: Batch
    inputs_BT: Tensor
    tokens_BT: Tensor
    roles_BT: Tensor
    scored_BT: Tensor


def draw_sequences(network: Network, task: Task, sequences: int, split: str, seed: int, index: int = 0) -> Sequences:
    """Draw sequences of a task for a network.

    Args:
        network: The network.
        task: Its task.
        sequences: B, 1 or more.
        split: `train`, `validation` or `test`.
        seed: Of the sequences.
        index: Of the batch in the stream.

    Raises:
        LabError: If the task has more tokens than the network, or for no sequences.
        TaskError: For a wrong split or seed.
    """
    check_fit(network, task, sequences)
    batch, device = task.batch(seed, index, sequences, split), network.embedding.weight.device
    inputs = hide_answer(batch, task.vocab_size) if network.spec.teacherless else batch.tokens
    return Sequences(
        batch,
        torch.from_numpy(inputs).to(device),
        torch.from_numpy(batch.tokens).to(device),
        torch.from_numpy(batch.roles).to(device, torch.int64),
        torch.from_numpy(batch.scored).to(device),
    )


def before_scored(scored_BT: Tensor) -> Tensor:
    """Return at which positions the next token is a scored target, (B, T) bool."""
    before_scored_BT = scored_BT.roll(-1, 1)
    before_scored_BT[:, -1] = False
    return before_scored_BT


def check_fit(network: Network, task: Task, sequences: int) -> None:
    """Reject a task with more tokens than the network, and no sequences.

    Raises:
        LabError: Naming both numbers of tokens, or the number of sequences.
    """
    check_count("sequences", sequences)
    if task.vocab_size > network.spec.vocabulary:
        raise LabError(f"the network has {network.spec.vocabulary} tokens, {task.name} has {task.vocab_size}")
