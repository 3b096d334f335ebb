"""Objectives: the targets of each prediction head.

An objective makes targets; `multi_head_loss` weights and sums their losses in the same way for all of them, so that objectives
combine with every other setting of `objective`. Head 1 predicts the next token in all of them.

A new objective is one function and one `Objective` here, and one line in `lab.config.objective.OBJECTIVES`; or an `Objective`
in a module of your own, named `module:Name`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.config import Experiment
from lab.config.objective import OBJECTIVES
from lab.errors import LabError
from lab.objectives.targets import IGNORE, StepData, Targets, future_targets, shift
from lab.registry import load_entry


@dataclass(frozen=True)
class Objective:
    """An objective.

    Attributes:
        targets: Makes the targets of a step. Without scores it must only move tokens, never compute with them: the gradient
            diagnostics put roles in place of tokens to learn the role of each target.
        shuffles: Whether it needs `StepData.shuffled_BT`.
        predicts: Describes the target of heads 2..N for people; {i} is the head, {window} the window.
    """

    targets: Callable[[StepData], Targets]
    shuffles: bool = False
    predicts: str = "token t+{i}"


def future_tokens(step: StepData) -> Targets:
    """Give head i token t + i (Gloeckle et al. 2024, section 2)."""
    return Targets(future_targets(step.tokens_BT, step.scored_BT, step.n_future))


def shuffled_tokens(step: StepData) -> Targets:
    """Give heads 2..N token t + i of another sequence: the same compute and distribution of targets, but no information.

    At every position the targets of the step are the same, in other sequences: no marginal of token, role and position changes.
    """
    assert step.shuffled_BT is not None
    others_NBT = shift(step.shuffled_BT, step.n_future)
    return Targets(torch.cat([future_targets(step.tokens_BT, step.scored_BT, 1), others_NBT[1:]]))


def bag_of_tokens(step: StepData) -> Targets:
    """Give heads 2..N the next `window` tokens without their order, each with the same probability."""
    window_BTK = _window(step)
    return _beside_next_token(window_BTK, window_BTK.new_zeros(window_BTK.shape, dtype=torch.float32), step.n_future)


def token_order(step: StepData) -> Targets:
    """Have heads 2..N rank the vocabulary by how soon each token comes: token-order prediction (Zuhri et al. 2025).

    ListNet: a token whose next occurrence is d tokens ahead has the score -d, a token outside `window` has none; the target is
    the softmax of the scores.
    """
    window_BTK = _window(step)
    earlier = torch.ones(step.window, step.window, dtype=torch.bool, device=window_BTK.device).tril(-1)
    repeats_BTK = ((window_BTK[..., :, None] == window_BTK[..., None, :]) & earlier).any(-1)
    distances_K = torch.arange(step.window, dtype=torch.float32, device=window_BTK.device)
    return _beside_next_token(window_BTK.masked_fill(repeats_BTK, IGNORE), -distances_K, step.n_future)


SUM = Objective(future_tokens)
SHUFFLED = Objective(shuffled_tokens, shuffles=True, predicts="token t+{i} of another sequence")
BAG = Objective(bag_of_tokens, predicts="tokens t+1 to t+{window}, without order")
ORDER = Objective(token_order, predicts="how soon each token comes, up to t+{window}")


def find_objective(experiment: Experiment) -> Objective:
    """Return the objective that an experiment names, one of `OBJECTIVES` or a user's own `module:Name`.

    Raises:
        LabError: If it cannot be imported, is no `Objective`, or does not fit the experiment's other settings.
    """
    name = experiment.objective.name
    objective = load_entry(OBJECTIVES.get(name, name), Objective, "objective.name")
    if objective.shuffles and experiment.batch_size == 1:
        raise LabError(f"batch_size must be at least 2 for objective.name {name} (targets come from another sequence), not 1")
    return objective


def describe_target(experiment: Experiment, head: int) -> str:
    """Describe what a prediction head, counted from 1, is trained to predict at position t."""
    terms = experiment.objective.terms
    if terms is not None:
        return "; instead ".join(term.describe() for term in terms if term.head == head) or "nothing"
    if head == 1:
        return "token t+1"
    return find_objective(experiment).predicts.format(i=head, window=experiment.objective.window)


def _window(step: StepData) -> Tensor:
    """Return the next tokens of each position, (B, T, K) int64, `IGNORE` where not scored."""
    return shift(step.tokens_BT.masked_fill(~step.scored_BT, IGNORE), step.window).permute(1, 2, 0)


def _beside_next_token(tokens_BTK: Tensor, scores: Tensor, n_future: int) -> Targets:
    """Give head 1 its next token, and every other head these tokens and scores, which need not be -inf where ignored."""
    next_BTK = torch.full_like(tokens_BTK, IGNORE)
    next_BTK[..., 0] = tokens_BTK[..., 0]
    tokens_NBTK = torch.stack([next_BTK] + [tokens_BTK] * (n_future - 1))
    scores_NBTK = scores.expand(tokens_NBTK.shape).masked_fill(tokens_NBTK == IGNORE, -torch.inf)
    return Targets(tokens_NBTK, scores_NBTK)
