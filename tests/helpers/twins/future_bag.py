"""The set of the coming tokens as a multi-label target of heads 2..N."""

import torch
from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.common import coming_tokens, head_loss, logits, positions


def future_bag(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    window, size = module.experiment.objective.window, module.experiment.task.vocab_size
    losses = {"1": head_loss(module, batch, 1)}
    for head in range(2, module.network.n_future + 1):
        of = logits(module, batch, head)
        terms = []
        for b, t in positions(batch):
            bag = set(coming_tokens(batch, b, t, 2, window))
            if bag:
                a = of(b, t)
                terms.append(sum((1 + a[v].exp()).log() - (a[v] if v in bag else 0) for v in range(size)) / size)
        losses[str(head)] = torch.stack(terms).mean()  # type: ignore[arg-type]
    return losses
