"""Path-star graphs: the task, its sequences and lines of text, and the counts of its graphs."""

from tasks.star.star import Star

__all__ = ["Star"]
