"""One run: the Lightning module, the data feed, callbacks, checkpoints; and several at a time."""

from lab.training.fit import Interrupted, resume, train
from lab.training.several import train_each, train_together
from lab.training.step_time import measured

__all__ = ["Interrupted", "measured", "resume", "train", "train_each", "train_together"]
