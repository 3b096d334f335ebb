"""A hinge loss on head 1: a nearer token must have a larger logit than a farther one."""

import torch
from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.common import coming_tokens, head_losses, logits, positions


def hinge(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    of, window = logits(module, batch, 1), module.experiment.objective.window
    terms = []
    for b, t in positions(batch):
        ranked: list[int] = []
        for token in coming_tokens(batch, b, t, 1, window):
            if token not in ranked:
                z = of(b, t)
                terms += [(1 - (z[nearer] - z[token])).clamp(min=0) for nearer in ranked]
                ranked.append(token)
    return head_losses(module, batch) | {"hinge": torch.stack(terms).mean()}
