"""Train one run or several: Lightning module, data feed, callbacks, checkpoints."""

from lab.loading import without_collection
from lab.processes import own_environment
from lab.training.light import import_torchmetrics

with own_environment(), without_collection():  # Lightning reads RANK and the like when it is imported
    import_torchmetrics()
    import lightning.pytorch  # noqa: F401

from lab.training.fit import resume, train
from lab.training.several import train_each, train_ensemble
from lab.training.step_time import with_step_time

__all__ = ["resume", "train", "train_each", "train_ensemble", "with_step_time"]
