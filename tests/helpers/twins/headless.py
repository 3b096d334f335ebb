"""Farther tokens as further targets of head 1."""

from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.common import head_loss, head_losses


def headless(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    window = module.experiment.objective.window
    return head_losses(module, batch) | {f"ahead_{k}": head_loss(module, batch, 1, k) for k in range(2, window + 1)}
