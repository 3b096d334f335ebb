"""One run: the Lightning module, the data feed, callbacks, checkpoints."""

from lab.training.train import Interrupted, resume, train

__all__ = ["Interrupted", "resume", "train"]
