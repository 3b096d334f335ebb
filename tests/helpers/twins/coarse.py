"""The class of the next token as a further target of head 1."""

import torch
from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.common import head_losses, logits, scored_tokens


def coarse(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    task, of = module.experiment.task, logits(module, batch, 1)
    classes = [token % 4 for token in range(task.vocab_size)] if task.classes is None else task.classes.tolist()
    losses = []
    for b, t, token in scored_tokens(batch, 1):
        p = of(b, t).softmax(-1)
        losses.append(-sum(p[v] for v in range(task.vocab_size) if classes[v] == classes[token]).log())  # type: ignore[union-attr]
    return head_losses(module, batch) | {"coarse": torch.stack(losses).mean()}
