"""An objective as a user would write one in a module of their own: heads 2..N look back instead of ahead."""

import torch

from lab.objectives import Objective, Part, Targets, future_targets


def past(part: Part, n_future: int, window: int) -> Targets:
    """Head i predicts token t + 2 - i: head 2 the token it sees, head 3 the one before."""
    own = future_targets(part.tokens_BT, part.scored_BT, 1)
    behind = [part.tokens_BT.roll(i, dims=1)[None] for i in range(n_future - 1)]
    return Targets(torch.cat([own, *behind]))


backwards = Objective(past, counts=lambda scored, n, window: [int(scored[:, 1:].sum())] + [scored.size] * (n - 1))
