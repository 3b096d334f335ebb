"""Objectives: targets of the prediction heads, losses of another form, and what the network reads.

Most objectives only make targets, whose cross-entropies `multi_head_loss` weights and sums, so that they combine with every
other setting of `objective`. Head 1 predicts the next token in all of them.

A new objective is an `Objective`, here or in a module beside this one, and one entry of
`lab.config.objective_table.OBJECTIVES`; or an `Objective` in a module of your own, named `module:Name`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lab.config import Experiment
from lab.config.objective_table import OBJECTIVES, ObjectiveKind
from lab.errors import LabError
from lab.objectives.coming import Coming
from lab.objectives.targets import IGNORE, Inputs, StepData, Targets, future_targets, shift
from lab.registry import load_entry


def future_tokens(step: StepData) -> Targets:
    """Give head i token t + i (Gloeckle et al. 2024, section 2)."""
    return Targets(future_targets(step.tokens_BT, step.scored_BT, step.n_future))


_EXTRA_SEED = 0x6D74705F6C6162
"""Keeps the draws of an objective's own modules different from those of the network."""


@dataclass(frozen=True)
class Objective:
    """An objective: C losses are cross-entropies of targets, the others its own.

    Attributes:
        targets: Makes the targets of a step. Without scores it must only move tokens, never compute with them: the gradient
            diagnostics put roles in place of tokens to learn the role of each target.
        shuffles: Whether it needs `StepData.shuffled_BT`.
        predicts: Description of the target of heads 2..N; {i} is the head, {window} the window.
        inputs: Makes the network's input in a step; None for the tokens, with the answer hidden if it is teacherless.
        columns: Selects from the hidden states (N, B, S, D) of all heads those of the C cross-entropies, (C, B, T, D), given
            their targets; None for the first C heads.
        extra: Builds a module whose forward pass takes `States` and returns the E further losses, each summed over its targets,
            (E,) in nats. Its parameters train with the network's and are no part of it. Where some losses have no weight, a
            loss with a name of its own trains what head 1 computes with, one named by a number what that head computes with.
            None for no further losses.
        counts: Counts the targets of each further loss in a step, (E,).
        sites: Names of the activations (`lab.model.sites`) that `States.sites` has.
        check: Raises LabError if it does not fit an experiment; None to fit all.
        kind: Its entry for settings, costs and documentation; a built-in's is in `lab.config.objective_table.OBJECTIVES`.
    """

    targets: Callable[[StepData], Targets] = future_tokens
    shuffles: bool = False
    predicts: str = "token t+{i}"
    inputs: Callable[[StepData], Inputs] | None = None
    columns: Callable[[Tensor, Targets], Tensor] | None = None
    extra: Callable[[Experiment], nn.Module] | None = None
    counts: Callable[[StepData], Tensor] | None = None
    sites: tuple[str, ...] = ()
    check: Callable[[Experiment], None] | None = None
    kind: ObjectiveKind = field(default_factory=ObjectiveKind)


def shuffled_tokens(step: StepData) -> Targets:
    """Give heads 2..N token t + i of another sequence: the same compute and distribution of targets, but no information.

    At every position the targets of the step are the same, in other sequences: no marginal of token, role and position changes.
    """
    assert step.shuffled_BT is not None
    others_NBT = shift(step.shuffled_BT, step.n_future)
    return Targets(torch.cat([future_targets(step.tokens_BT, step.scored_BT, 1), others_NBT[1:]]))


def bag_of_tokens(step: StepData) -> Targets:
    """Give heads 2..N the next `window` tokens without their order, each with the same probability."""
    window_BTK = future_targets(step.tokens_BT, step.scored_BT, min(step.window, step.tokens_BT.shape[1] - 1)).permute(1, 2, 0)
    return _beside_next_token(window_BTK, window_BTK.new_zeros(window_BTK.shape, dtype=torch.float32), step.n_future)


def token_order(step: StepData) -> Targets:
    """Have heads 2..N rank the vocabulary by how soon each token comes: token-order prediction (Zuhri et al. 2025).

    ListNet: a token whose next occurrence is d tokens ahead has the score -d, a token outside `window` has none; the target is
    the softmax of the scores.
    """
    first_BTK = Coming(step.tokens_BT, step.scored_BT, 1, step.window).everywhere()
    distances_K = torch.arange(first_BTK.shape[2], dtype=torch.float32, device=first_BTK.device)
    return _beside_next_token(first_BTK, -distances_K, step.n_future)


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
    path = OBJECTIVES[name].path if name in OBJECTIVES else name
    objective = load_entry(path, Objective, "objective.name")
    if name not in OBJECTIVES:
        _check_own(experiment)
    if experiment.compile != "none" and objective.sites:
        raise LabError(f"compile must be none with objective.name {name}, which reads activations, not {experiment.compile!r}")
    if objective.shuffles and experiment.batch_size == 1:
        raise LabError(f"batch_size must be at least 2 for objective.name {name} (targets come from another sequence), not 1")
    if objective.check is not None:
        objective.check(experiment)
    return objective


def build_extra(experiment: Experiment) -> nn.Module | None:
    """Build the losses of its own that an objective has, with weights that depend on the run's seed alone; None without any."""
    make = find_objective(experiment).extra
    if make is None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((experiment.seed + _EXTRA_SEED) % 2**63)
        return make(experiment)


def describe_target(experiment: Experiment, head: int) -> str:
    """Describe what a prediction head, counted from 1, is trained to predict at position t."""
    terms = experiment.objective.terms
    if terms is not None:
        return "; instead ".join(term.describe() for term in terms if term.head == head) or "nothing"
    if head == 1:
        return "token t+1"
    return find_objective(experiment).predicts.format(i=head, window=experiment.objective.window)


def _check_own(experiment: Experiment) -> None:
    """Check the settings that depend on the losses of a user's own objective."""
    try:
        experiment.objective.check_losses(experiment.n_future, experiment.steps)
        experiment.check_objective()
    except ValueError as error:
        raise LabError(str(error)) from error


def _beside_next_token(tokens_BTK: Tensor, scores: Tensor, n_future: int) -> Targets:
    """Give head 1 its next token, and every other head these tokens and scores, which need not be -inf where ignored."""
    next_BTK = torch.full_like(tokens_BTK, IGNORE)
    next_BTK[..., 0] = tokens_BTK[..., 0]
    tokens_NBTK = torch.stack([next_BTK] + [tokens_BTK] * (n_future - 1))
    scores_NBTK = scores.expand(tokens_NBTK.shape).masked_fill(tokens_NBTK == IGNORE, -torch.inf)
    return Targets(tokens_NBTK, scores_NBTK)
