"""The arms of the counterfactual: what the prediction heads have to predict.

An arm makes targets; how their losses are weighted and summed is the same for all (`summed`), so that arms combine with every
other setting of the objective. Head 1 predicts the next token in all of them. A new arm is one function here, one line in
`OBJECTIVES`, and its name in `lab.config.objective.ARMS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.config import Experiment
from lab.errors import LabError
from lab.objectives.targets import IGNORE, Part, ahead, future_targets


class Targets(NamedTuple):
    """What each prediction head has to predict at each position: a token, or a distribution over K of them.

    Attributes:
        tokens: (N, B, T) int64, or (N, B, T, K) with scores; `IGNORE` where nothing counts.
        scores_NBTK: None, or float32: each token's probability is the softmax of these over K; -inf where ignored.
    """

    tokens: Tensor
    scores_NBTK: Tensor | None = None


def offset_counts(scored_BT: NDArray[np.bool_], n_future: int, _: int) -> list[int]:
    """Targets of each head in a whole step if head i predicts token t + i."""
    return [int(scored_BT[:, i:].sum()) for i in range(1, n_future + 1)]


def window_counts(scored_BT: NDArray[np.bool_], n_future: int, window: int) -> list[int]:
    """The same if heads 2..N predict what comes in the next `window` tokens: positions with any scored token there."""
    before = np.pad(scored_BT.cumsum(axis=1), ((0, 0), (0, window)), mode="edge")  # scored up to a position, it included
    some = int((before[:, window:] > before[:, :-window]).sum())
    return [int(scored_BT[:, 1:].sum())] + [some] * (n_future - 1)


@dataclass(frozen=True)
class Objective:
    """What the prediction heads have to predict.

    Attributes:
        targets: From a part, N heads and the window to targets.
        counts: From the whole step's scored positions, N and the window to the positions at which each head has a target.
        elsewhere: Whether it needs `Part.elsewhere_BT`.
        predicts: What heads 2..N predict, for people: {i} is the head, {window} the window.
    """

    targets: Callable[[Part, int, int], Targets]
    counts: Callable[[NDArray[np.bool_], int, int], list[int]] = offset_counts
    elsewhere: bool = False
    predicts: str = "token t+{i}"


def following(part: Part, n_future: int, _: int) -> Targets:
    """The paper's: head i predicts token t + i."""
    return Targets(future_targets(part.tokens_BT, part.scored_BT, n_future))


def shuffled(part: Part, n_future: int, _: int) -> Targets:
    """Heads 2..N predict token t + i of another row: the same compute and the same law of targets, but no information.

    At every position the step's targets are the same, in other rows; so no marginal of token, role and position changes.
    """
    assert part.elsewhere_BT is not None
    others_NBT = ahead(part.elsewhere_BT, n_future)
    return Targets(torch.cat([future_targets(part.tokens_BT, part.scored_BT, 1), others_NBT[1:]]))


def bag(part: Part, n_future: int, window: int) -> Targets:
    """Heads 2..N predict the next `window` tokens without their order: each with the same probability."""
    window_BTK = _next(part, window)
    return _beside_next_token(window_BTK, window_BTK.new_zeros(window_BTK.shape, dtype=torch.float32), n_future)


def order(part: Part, n_future: int, window: int) -> Targets:
    """Heads 2..N rank the vocabulary by how soon each token comes next: token-order prediction (Zuhri et al. 2025).

    ListNet: a token whose next occurrence is d tokens ahead has the score -d, one that does not come within `window` none; the
    target is the softmax of the scores.
    """
    window_BTK = _next(part, window)
    earlier = torch.ones(window, window, dtype=torch.bool, device=window_BTK.device).tril(-1)
    repeats_BTK = ((window_BTK[..., :, None] == window_BTK[..., None, :]) & earlier).any(-1)
    distances_K = torch.arange(window, dtype=torch.float32, device=window_BTK.device)
    return _beside_next_token(window_BTK.masked_fill(repeats_BTK, IGNORE), -distances_K, n_future)


OBJECTIVES: dict[str, Objective] = {
    "sum": Objective(following),
    "shuffled": Objective(shuffled, elsewhere=True, predicts="token t+{i} of another row"),
    "bag": Objective(bag, window_counts, predicts="tokens t+1 to t+{window}, without order"),
    "order": Objective(order, window_counts, predicts="how soon each token comes, up to t+{window}"),
}


def find(experiment: Experiment) -> Objective:
    """The objective that an experiment names: one of `OBJECTIVES`, or a user's own by `module:Name`.

    Raises:
        LabError: If it cannot be imported, is none, or cannot be with the experiment's other settings.
    """
    name = experiment.objective.name
    objective = OBJECTIVES.get(name) or _load(name)
    if objective.elsewhere and experiment.batch_size == 1:
        raise LabError(f"batch_size must be at least 2 for objective.name {name} (targets come from another row), not 1")
    return objective


def predicts(experiment: Experiment, head: int) -> str:
    """What a prediction head, counted from 1, has to predict at position t, for people."""
    return "token t+1" if head == 1 else find(experiment).predicts.format(i=head, window=experiment.objective.window)


def _load(path: str) -> Objective:
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise LabError(f"objective.name {path!r} cannot be imported: {error}") from error
    if not isinstance(found, Objective):
        raise LabError(f"objective.name {path!r} is not a lab.objectives.Objective")
    return found


def _next(part: Part, window: int) -> Tensor:
    """The next tokens of each position, (B, T, K) int64, `IGNORE` where not scored."""
    return ahead(part.tokens_BT.masked_fill(~part.scored_BT, IGNORE), window).permute(1, 2, 0)


def _beside_next_token(tokens_BTK: Tensor, scores: Tensor, n_future: int) -> Targets:
    """Head 1 with its next token, every other head with these tokens and scores, which need not be -inf where ignored."""
    next_BTK = torch.full_like(tokens_BTK, IGNORE)
    next_BTK[..., 0] = tokens_BTK[..., 0]
    tokens_NBTK = torch.stack([next_BTK] + [tokens_BTK] * (n_future - 1))
    scores_NBTK = scores.expand(tokens_NBTK.shape).masked_fill(tokens_NBTK == IGNORE, -torch.inf)
    return Targets(tokens_NBTK, scores_NBTK)
