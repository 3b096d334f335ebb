"""The arms of the counterfactual: what the prediction heads have to predict.

An arm makes targets; how their losses are weighted and summed is the same for all (`summed`), so that arms combine with every
other setting of the objective. Head 1 predicts the next token in all of them. A new arm is one function here and one line in
`OBJECTIVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.objectives.targets import Part, ahead, future_targets


@dataclass(frozen=True)
class Objective:
    """What the prediction heads have to predict.

    Attributes:
        targets: From a part and N, the number of heads, to targets (N, B, T) int64, `IGNORE` where there is none. Each head
            has as many as in `future_targets`: the feed counts those.
        elsewhere: Whether it needs `Part.elsewhere_BT`.
    """

    targets: Callable[[Part, int], Tensor]
    elsewhere: bool = False


def following(part: Part, n_future: int) -> Tensor:
    """The paper's: head i predicts token t + i."""
    return future_targets(part.tokens_BT, part.scored_BT, n_future)


def shuffled(part: Part, n_future: int) -> Tensor:
    """Heads 2..N predict token t + i of another row: the same compute and the same law of targets, but no information.

    At every position the step's targets are the same, in other rows; so no marginal of token, role and position changes.
    """
    assert part.elsewhere_BT is not None
    others_NBT = ahead(part.elsewhere_BT, n_future)
    return torch.cat([future_targets(part.tokens_BT, part.scored_BT, 1), others_NBT[1:]])


OBJECTIVES: dict[str, Objective] = {
    "sum": Objective(following),
    "shuffled": Objective(shuffled, elsewhere=True),
}
