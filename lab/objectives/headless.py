"""Several tokens ahead as targets of head 1's own logits, without further prediction heads."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.config import Experiment
from lab.errors import LabError
from lab.objectives.kinds import Objective
from lab.objectives.targets import StepData, Targets, future_targets


def add_farther_tokens(step: StepData) -> Targets:
    """Give head i token t + i, and head 1 each of the tokens t + 2 to t + `window` besides, as losses of their own.

    With `objective.active` `fade` the farthest of them fades to 0 in the first of `window` equal parts of training, and so on
    until head 1 is trained on the next token alone; without the fade it ends as a mixture of all offsets.
    """
    ahead = max(step.n_future, step.window)
    all_KBT = future_targets(step.tokens_BT, step.scored_BT, ahead)
    return Targets(torch.cat([all_KBT[: step.n_future], all_KBT[1 : step.window]]))


def repeat_head_1(hidden_NBSD: Tensor, targets: Targets) -> Tensor:
    """Append head 1's states for each loss beyond those of the heads."""
    first_1BSD, further = hidden_NBSD[:1], len(targets.tokens) - len(hidden_NBSD)
    return torch.cat([hidden_NBSD, first_1BSD.expand(further, *first_1BSD.shape[1:])])


def check_window(experiment: Experiment) -> None:
    """Raise LabError if the window has tokens that no sequence has, whose losses would be of nothing."""
    length, window = experiment.task.length, experiment.objective.window
    if window >= length:
        raise LabError(
            f"objective.window must be below {length}, the sequence length of {experiment.task.name}, with objective.name "
            f"headless, not {window}"
        )


HEADLESS = Objective(add_farther_tokens, columns=repeat_head_1, check=check_window)
