"""Addition digit by digit: the task, the digits of its sequences, and the counts of its pairs of numbers."""

from tasks.addition.addition import Addition

__all__ = ["Addition"]
