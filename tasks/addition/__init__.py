"""Addition digit by digit: the task, and how its pairs of numbers are counted."""

from tasks.addition.addition import Addition

__all__ = ["Addition"]
