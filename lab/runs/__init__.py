"""Runs: folders with settings, metrics and weights, written and read."""

from lab.runs.run import Run, frame
from lab.runs.search import open_runs

__all__ = ["Run", "frame", "open_runs"]
