"""Exact distributions, by enumeration of all sequences of a small task."""

import numpy as np

from tasks import Task


def assert_joints_are_exact(task: Task, tokens: np.ndarray, chances: np.ndarray, positions: range) -> None:
    """Assert that the task's joint distributions, at these positions and for all prefixes, are sums over all its sequences.

    Args:
        task: The task.
        tokens: (N, T) all its sequences.
        chances: (N,) the probability of each sequence.
        positions: Positions at which the task must know the joint distribution.
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
