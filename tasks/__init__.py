"""Synthetic tasks with known answers and known entropy; numpy is the only requirement.

    >>> import tasks
    >>> task = tasks.get("induction", vocabulary=16, period=(4, 8), length=24)
    >>> task.batch(seed=0, index=0, size=2).tokens.shape
    (2, 24)

Each task is a file or folder here, with one line in `TASKS` (`tasks/core/registry.py`). The contract of a task and the code
that all tasks share are in `tasks/core`. A task of your own is found as `package.module:Class`, or by an entry point in the
group `mtp_lab.tasks`.
"""

from __future__ import annotations

from tasks.core.base import PADDING, Batch, Task
from tasks.core.registry import TASKS, find, from_description, get, names
from tasks.core.splits import SPLITS
from tasks.errors import TaskError

__all__ = ["PADDING", "SPLITS", "TASKS", "Batch", "Task", "TaskError", "find", "from_description", "get", "names"]
