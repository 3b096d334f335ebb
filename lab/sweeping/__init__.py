"""Sweeps: many experiments, by grid or by search, on many workers, resumed after any stop."""

from lab.sweeping.results import Results
from lab.sweeping.run import look, sweep
from lab.sweeping.spec.description import Sweep
from lab.sweeping.workers.settings import Workers

__all__ = ["Results", "Sweep", "Workers", "look", "sweep"]
