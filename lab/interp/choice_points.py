"""The weight of a transition in n-token prediction, counted and measured (choice points: Gloeckle et al. 2024, appendix L.3).

N prediction heads, B sequences, T positions, D width, V vocabulary.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from lab.errors import LabError
from lab.interp.sequences import Sequences, draw_sequences
from lab.model import Network
from lab.objectives import IGNORE, future_targets
from tasks import Task

_LEAST = 0.05
"""Mean loss in nats, or squared gradient, of a role's own targets up to which its weight would be a ratio of noise."""


def dependent_terms(n_future: int, consequences: int | None = None) -> int:
    """Count the terms of the n-token loss in which a transition matters.

    A term is a pair of a position and a prediction head. It depends on the transition to a token if the position is before that
    token and the target is the token itself or one that follows from it. The last n positions before the token predict
    1, 2, ..., n tokens from it on, of which at most 1 + `consequences` depend on it. So a transition without consequences has
    weight n, and a choice point n (n + 1) / 2.

        n = 3: tokens p q r c d e, of which c is the choice and d, e follow from it
        p predicts q r c, q predicts r c d, r predicts c d e: 1 + 2 + 3 terms with it, 1 + 1 + 1 if nothing followed from it

    Args:
        n_future: n, prediction heads, 1 or more, with at least n positions before the token.
        consequences: Later tokens that follow from it and are as hard to predict before it; None for all.
    """
    return sum(ahead if consequences is None else min(ahead, 1 + consequences) for ahead in range(1, n_future + 1))


def attribute_terms(values_NBT: Tensor) -> Tensor:
    """Attribute the terms of the n-token loss to the tokens whose reading resolves them.

    The value v(t, i) of prediction head i at position t about token t + i is the sum of what each token read on the way
    resolves, and v of a token that has been read is 0:

        v(t, i) = sum over s = t + 1 ... t + i of d(s, t + i - s),  d(s, j) = v(s - 1, j + 1) - v(s, j)

    d(s, j) is how much the value about token s + j falls when token s is read. It is in every term about token s + j whose
    position is before s: n - j of them. So all terms together are the sum over tokens s of

        w(s) = sum over j = 0 ... n - 1 of (n - j) d(s, j)

    Near the beginning there are fewer. For losses of the optimal predictor d(s, j) is on average the information
    I(x_s; x_{s+j} | x_1 ... x_{s-1}): H for the token itself, as much for each consequence that is a one-to-one function of it,
    and 0 for all else. Then w(s) / d(s, 0) is `dependent_terms`.

    Args:
        values_NBT: v(t, i) at [i - 1, :, t]; 0 where the target does not count.

    Returns:
        (B, T), w at every token; 0 at the first. The sum over T is that of the values over N and T.
    """
    N, B, T = values_NBT.shape
    weights_BT = values_NBT.new_zeros(B, T)
    position_T = torch.arange(1, T, device=values_NBT.device)
    for ahead in range(N):
        resolved_BT = values_NBT[ahead, :, :-1] - (values_NBT[ahead - 1, :, 1:] if ahead else 0)
        weights_BT[:, 1:] += resolved_BT * (position_T + ahead).clamp(max=N).sub(ahead)
    return weights_BT


@torch.no_grad()
def choice_points(
    network: Network, task: Task, *, sequences: int = 512, split: str = "validation", seed: int = 0
) -> pd.DataFrame:
    """Compute the weight of the tokens of each role in the n-token loss and in its gradient, relative to next-token prediction.

    Each term of the loss (a position and a prediction head, all with the same weight) has a value: its loss in nats, or the
    squared norm of its gradient with respect to the logits, |p - y|^2. `attribute_terms` distributes the values over the tokens
    whose reading resolves them. The weight of a role is the sum of the values of its tokens, divided by those of the next-token
    head about these tokens alone, which is the sum at n = 1. The optimal predictor's weight is n (n + 1) / 2 where n - 1 tokens
    or more follow one-to-one from the choice and n positions or more precede it, and n where none follows: for the loss as for
    the gradient, because the distribution of a consequence before the choice is that of the choice. It differs where
    consequences distinguish only some of the choices, near both ends of a sequence, and where heads are worse than the
    optimum at their distance.

    Args:
        network: A network whose prediction heads read no tokens ahead.
        task: Its task.
        sequences: Number of sequences.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `role`, `quantity`, `value`: the weights `loss` and `gradient` of roles whose own next-token value is above 0.05
        (below, the weight is a ratio of noise), and `loss share` and `gradient share`, the role's share of all values.

    Raises:
        LabError: If the prediction heads are teacher-forced, or the answer is hidden: tokens are then read in another order.
    """
    spec = network.spec
    if spec.teacherless or (spec.kind.teacher_forced and spec.n_future > 1):
        raise LabError("choice points need prediction heads that read tokens up to their position, and no hidden answer")
    drawn = draw_sequences(network, task, sequences, split, seed)
    rows = []
    for quantity, values_NBT in _term_values(network, drawn).items():
        weights_BT, own_BT = attribute_terms(values_NBT), values_NBT[0].roll(1, 1)  # the last value, which has no target, is 0
        for number, role in enumerate(task.roles[1:], start=1):
            of_role = drawn.roles_BT == number
            weight, own = float(weights_BT[of_role].sum()), float(own_BT[of_role].sum())
            if own > _LEAST * int((of_role & drawn.scored_BT).sum()):
                rows.append((role, quantity, weight / own))
            if weight:
                rows.append((role, f"{quantity} share", weight / float(weights_BT.sum())))
    return pd.DataFrame(rows, columns=["role", "quantity", "value"])


def _term_values(network: Network, drawn: Sequences) -> dict[str, Tensor]:
    """Compute the loss and the squared gradient at the logits of every term, (N, B, T) float64; 0 without a target."""
    found: dict[str, list[Tensor]] = {"loss": [], "gradient": []}
    targets_NBT = future_targets(drawn.tokens_BT, drawn.scored_BT, network.n_future)
    hidden_NBTD = network(drawn.inputs_BT)
    for head, targets_BT in enumerate(targets_NBT, start=1):
        log_probs_BTV = network.unembed(hidden_NBTD[head - 1], head).double().log_softmax(-1)
        counts_BT = targets_BT != IGNORE
        own_BT = log_probs_BTV.gather(-1, targets_BT.clamp(min=0)[..., None])[..., 0]
        squared_BT = log_probs_BTV.mul(2).exp().sum(-1) - 2 * own_BT.exp() + 1
        found["loss"].append(-own_BT * counts_BT)
        found["gradient"].append(squared_BT * counts_BT)
    return {quantity: torch.stack(values) for quantity, values in found.items()}
