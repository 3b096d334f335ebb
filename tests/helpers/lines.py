"""Lines of text that a task writes and reads."""

import numpy as np

from tasks import Batch, Task


def assert_read_back(task: Task, batch: Batch) -> None:
    """Assert that the line of each sequence is read back to the same line and the same arrays."""
    for index in range(len(batch)):
        line = task.format(batch.row(index))
        again = task.parse(line)
        assert task.format(again) == line
        for field in ("tokens", "roles", "scored", "answer"):
            np.testing.assert_array_equal(getattr(again, field), getattr(batch.row(index), field))
