"""An objective as a user would write one in a module of their own: heads 2..N look back instead of ahead."""

import torch

from lab.objectives import Objective, StepData, Targets, future_targets


def past(step: StepData) -> Targets:
    """Head i predicts token t + 2 - i: head 2 the token it sees, head 3 the one before."""
    own = future_targets(step.tokens_BT, step.scored_BT, 1)
    earlier = [step.tokens_BT.roll(i, dims=1)[None] for i in range(step.n_future - 1)]
    return Targets(torch.cat([own, *earlier]))


backwards = Objective(past)
