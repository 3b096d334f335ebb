"""One run: the Lightning module, the data feed, callbacks, checkpoints."""

from lab.training.fit import Interrupted, resume, train

__all__ = ["Interrupted", "resume", "train"]
