"""Registers, MuToR (arXiv 2505.10518): positions of their own, which no token sees, predict tokens several ahead.

B sequences of T tokens, then R registers, S = T + R positions. With T = 5, R = 4, no answer and d = 2, by what each reads:

    position      0 1 2 3 4   1 2 3 4      for RoPE: a register after token t has t + d - 1
    attends to    tokens up   tokens up to 0 1 2 3, and itself
                  to itself
    target        1 2 3 4 -   2 3 4 -
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.config import Experiment
from lab.config.objective_table import count_registers, register_offsets
from lab.errors import LabError
from lab.objectives.kinds import Objective
from lab.objectives.targets import IGNORE, Inputs, StepData, Targets, future_targets
from tasks.core.rng import stream


class Layout(NamedTuple):
    """Positions and targets of the registers of a step.

    Attributes:
        after_BR: The position of the token that each follows, int64.
        target_BR: The position of the token that it predicts, int64; any where it is not used.
        used_BR: Whether there is such a token: in the sequence, or in the answer where the task has one.
        ahead_B1: d of each sequence, int64.
    """

    after_BR: Tensor
    target_BR: Tensor
    used_BR: Tensor
    ahead_B1: Tensor


def draw_layout(step: StepData) -> Layout:
    """Draw d for each sequence of a step, and position its registers.

    Registers follow the tokens at which the sequence, or its answer, is predicted: from the token before its first one on.
    """
    size, length = step.tokens_BT.shape
    sizes = length, step.longest_answer, step.window
    seed, index = step.draw
    offsets = register_offsets(*sizes)
    drawn_B = stream("objective/registers", seed=seed, index=index).integers(offsets.start, offsets.stop, size)
    ahead_B1 = torch.from_numpy(drawn_B)[:, None]
    begin_B1, end_B1 = ahead_B1.new_full((size, 1), 1), ahead_B1.new_full((size, 1), length)
    if step.longest_answer:
        assert step.answer_B2 is not None
        begin_B1, end_B1 = step.answer_B2[:, :1], step.answer_B2[:, 1:]
    after_BR = begin_B1 - 1 + torch.arange(count_registers(*sizes))
    target_BR = after_BR + ahead_B1
    last = length - 1
    return Layout(after_BR.clamp(max=last), target_BR.clamp(max=last), target_BR < end_B1, ahead_B1)


def add_register_targets(step: StepData) -> Targets:
    """Give head i token t + i, and the register after token t, on head 1's path, token t + d, as a further loss."""
    after_BR, target_BR, used_BR, _ = draw_layout(step)
    visible_BT = step.tokens_BT.masked_fill(~step.scored_BT, IGNORE)
    registers_BR = visible_BT.gather(1, target_BR).masked_fill(~used_BR, IGNORE)
    registers_BT = F.pad(registers_BR, (0, visible_BT.shape[1] - after_BR.shape[1]), value=IGNORE)
    return Targets(torch.cat([future_targets(step.tokens_BT, step.scored_BT, step.n_future), registers_BT[None]]))


def append_registers(step: StepData) -> Inputs:
    """Append the registers of a step to its tokens, with the positions and the mask that keep them from the tokens."""
    after_BR, _, _, ahead_B1 = draw_layout(step)
    (size, length), count = step.tokens_BT.shape, after_BR.shape[1]
    positions_BT = torch.arange(length).expand(size, -1)
    registers_BR = torch.full_like(after_BR, step.hidden_token)
    positions_BR = (after_BR + ahead_B1 - 1).clamp(max=length - 1)
    last_seen_BS = torch.cat([positions_BT, after_BR], dim=1)
    mask_BSS = F.pad(last_seen_BS[:, :, None] >= torch.arange(length), (0, count)) | torch.eye(length + count, dtype=torch.bool)
    return Inputs(
        torch.cat([step.tokens_BT, registers_BR], dim=1), torch.cat([positions_BT, positions_BR], dim=1), mask_BSS[:, None]
    )


def take_registers(hidden_NBSD: Tensor, targets: Targets) -> Tensor:
    """Append to the states of all heads at the tokens those of head 1 at the registers, padded to T."""
    length = targets.tokens.shape[2]
    registers_1BRD = hidden_NBSD[:1, :, length:]
    padded_1BTD = F.pad(registers_1BRD, (0, 0, 0, length - registers_1BRD.shape[2]))
    return torch.cat([hidden_NBSD[:, :, :length], padded_1BTD])


def check_registers(experiment: Experiment) -> None:
    """Raise LabError if answers are too short for a register."""
    task = experiment.task
    if not count_registers(task.length, task.longest_answer, experiment.objective.window):
        raise LabError(
            f"objective.window must be 1 with objective.name registers where answers have one token, as {task.name}'s"
        )


REGISTERS = Objective(add_register_targets, inputs=append_registers, columns=take_registers, check=check_registers)
