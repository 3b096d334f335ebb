"""One run: the Lightning module, the data feed, callbacks, checkpoints."""

from lab.training.fit import Interrupted, resume, train
from lab.training.step_time import measured

__all__ = ["Interrupted", "measured", "resume", "train"]
