"""Sweeps: many experiments, by grid or by search, on many workers, whatever happens meanwhile."""

from lab.sweeping.engine import look, sweep
from lab.sweeping.results import Results
from lab.sweeping.spec.description import Sweep

__all__ = ["Results", "Sweep", "look", "sweep"]
