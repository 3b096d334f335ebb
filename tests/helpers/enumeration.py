"""Exact distributions by going through all sequences of a small task."""

import numpy as np

from tasks import Task


def assert_joints_are_exact(task: Task, tokens: np.ndarray, chances: np.ndarray, positions: range) -> None:
    """Compare the task's joints, at these positions and all prefixes, with sums over all its sequences.

    Args:
        task: The task.
        tokens: (N, T) all its sequences.
        chances: (N,) the probability of each.
        positions: Where the task must know the joint.
    """
    batch = task.rows(tokens, np.ones_like(tokens))
    for position in positions:
        _, first, prefix = np.unique(tokens[:, : position + 1], axis=0, return_index=True, return_inverse=True)
        exact = np.zeros((len(first), task.vocab_size, task.vocab_size))
        np.add.at(exact, (prefix.ravel(), tokens[:, position + 1], tokens[:, position + 2]), chances)
        exact /= exact.sum(axis=(1, 2), keepdims=True)
        found = task.joint(batch, position)
        assert found is not None, position
        np.testing.assert_allclose(found[first], exact, atol=1e-12, err_msg=f"after token {position}")
