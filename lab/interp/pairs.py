"""Pairs of sequences for activation patching, and names of their positions. C pairs, T positions."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.errors import LabError
from lab.interp.sequences import draw_sequences
from lab.model import Network
from lab.objectives import hide_answer
from tasks import Batch, Task


class Pairs(NamedTuple):
    """Pairs of sequences that differ in one cause, and in the answer that it decides.

    Attributes:
        clean_CT: int64, the network's inputs of the originals.
        corrupted_CT: int64, the same with the cause changed; up to the answer it differs at one position alone.
        changed_C: int64, that position.
        answer_C: int64, the position of the answer, later than `changed_C`.
        right_C: int64, the original's token there.
        wrong_C: int64, the changed sequence's.
        roles_CT: Names of the roles of the originals' tokens.
    """

    clean_CT: Tensor
    corrupted_CT: Tensor
    changed_C: Tensor
    answer_C: Tensor
    right_C: Tensor
    wrong_C: Tensor
    roles_CT: NDArray[np.str_]


def draw_pairs(network: Network, task: Task, sequences: int, split: str, seed: int, head: int = 1) -> Pairs:
    """Draw sequences and change one cause in each, as `task.contrast` does.

    Args:
        network: The network.
        task: Its task.
        sequences: Number of originals; those that have no pair are left out.
        split: Split from which they are drawn.
        seed: Of the sequences.
        head: Prediction head; pairs whose answer it predicts before the changed position are left out.

    Raises:
        LabError: If the task has no contrasts, or there is no such pair.
    """
    drawn = draw_sequences(network, task, sequences, split, seed)
    contrast = task.contrast(drawn.batch)
    if contrast is None:
        raise LabError(f"{task.name} has no contrasts: nothing can be patched without code")
    kept = contrast.answer - head >= contrast.changed
    if not kept.any():
        raise LabError(f"prediction head {head} predicts the answer of {task.name} before it reads the token that decides it")
    number_C, changed_CT = contrast.sequence[kept], contrast.tokens[kept]
    batch = Batch(**{field.name: getattr(drawn.batch, field.name)[number_C] for field in fields(Batch)})
    right_C, wrong_C = (tokens[np.arange(len(tokens)), contrast.answer[kept]] for tokens in (batch.tokens, changed_CT))
    corrupted_CT = hide_answer(replace(batch, tokens=changed_CT), task.vocab_size) if network.spec.teacherless else changed_CT
    device = network.embedding.weight.device
    numbers = (number_C, corrupted_CT, contrast.changed[kept], contrast.answer[kept], right_C, wrong_C)
    number, corrupted, changed, answer, right, wrong = (torch.from_numpy(each).to(device) for each in numbers)
    roles_CT = np.array(task.roles)[batch.roles]
    return Pairs(drawn.inputs_BT[number], corrupted, changed, answer, right, wrong, roles_CT)


def align(pairs: Pairs, head: int = 1, window: int = 3) -> dict[str, Tensor]:
    """Name the positions from the changed one to the one where the answer is predicted, alike in all pairs.

    Args:
        pairs: The pairs.
        head: Prediction head, which predicts the answer `head` positions before it.
        window: Positions that have names of their own, after the changed one and before the answer.

    Returns:
        For each name (C, T) bool, the position of each pair that has it, if any: `changed`, `changed+1`, ..., `between` (all
        others together), ..., `answer-2`, `answer-1`. A position near both is named after the answer, so that it has one name.
        Names that no pair has are left out.
    """
    position_T = torch.arange(pairs.clean_CT.shape[1], device=pairs.clean_CT.device)
    after_CT, before_CT = position_T - pairs.changed_C[:, None], pairs.answer_C[:, None] - position_T
    late_CT = before_CT < head + window
    names = {"changed": (after_CT == 0) & (before_CT >= head)}
    names |= {f"changed+{offset}": (after_CT == offset) & ~late_CT for offset in range(1, window + 1)}
    names["between"] = (after_CT > window) & ~late_CT
    names |= {f"answer-{offset}": (before_CT == offset) & (after_CT > 0) for offset in range(head + window - 1, head - 1, -1)}
    return {name: where_CT for name, where_CT in names.items() if where_CT.any()}
