"""Run folders and the tidy frames that are made of them."""

from lab.runs.run import Run, open_runs

__all__ = ["Run", "open_runs"]
