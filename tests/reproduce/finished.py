"""The helper of tests/helpers/runs.py under its earlier name."""

from tests.helpers.runs import make_run as finished

__all__ = ["finished"]
