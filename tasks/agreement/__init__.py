"""Agreement: the task, and the layout of its sequences."""

from tasks.agreement.agreement import Agreement

__all__ = ["Agreement"]
