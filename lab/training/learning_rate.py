"""The learning rate over training."""

from __future__ import annotations

import math

from lab.config import Experiment


def rate_factor(step: int, experiment: Experiment) -> float:
    """Return the learning rate of the step after `step` steps, as a fraction of the peak; of the last step the decay ratio."""
    warmup, ratio = experiment.schedule.warmup_steps, experiment.schedule.decay_ratio
    if step < warmup:
        return (step + 1) / warmup
    last = experiment.steps - 1
    progress = (step - warmup) / (last - warmup) if step < last else 1.0
    return ratio + (1 - ratio) * 0.5 * (1 + math.cos(math.pi * progress))
