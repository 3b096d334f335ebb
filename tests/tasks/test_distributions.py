"""Exact distributions of the next two tokens, for every task that can compute them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tasks import Batch, Task
from tests.helpers.insight import SEQUENCES, draw_any_split, for_tasks_with, with_tokens

for_tasks_with_distribution = for_tasks_with("next_distribution", "joint")


def known_joints(task: Task, batch: Batch, most: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the joints at up to `most` positions, the first and last one included."""
    last = task.length - 3
    for position in np.unique(np.linspace(0, last, min(most, last + 1)).astype(int)).tolist():
        joint = task.joint(batch, position)
        if joint is not None:
            yield position, joint


def surprisals(batch: Batch, position: int, joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the nats of the next token, and of the token after it given the next."""
    row = np.arange(len(batch))
    next_token, after = batch.tokens[:, position + 1], batch.tokens[:, position + 2]
    first = joint.sum(axis=2)[row, next_token]
    return -np.log(first), -np.log(joint[row, next_token, after] / first)


@for_tasks_with_distribution
def test_a_joint_is_a_distribution_given_the_prefix(task: Task) -> None:
    batch = draw_any_split(task, 16)
    for position, joint in known_joints(task, batch, 24):
        assert joint.shape == (16, task.vocab_size, task.vocab_size)
        assert (joint >= 0).all()
        np.testing.assert_allclose(joint.sum(axis=(1, 2)), 1, atol=1e-9)
        later = np.arange(task.length) > position
        again = task.joint(with_tokens(batch, np.where(later, 0, batch.tokens)), position)
        np.testing.assert_array_equal(again, joint)


@for_tasks_with_distribution
def test_losses_of_a_joint_equal_the_optimum(task: Task) -> None:
    batch = draw_any_split(task, SEQUENCES)
    optimum = task.optimum(batch.tokens)
    if optimum is None:
        pytest.skip("no optimum")
    for position, joint in known_joints(task, batch, 24):
        first, second = surprisals(batch, position, joint)
        np.testing.assert_allclose(first, optimum[:, position + 1], atol=1e-9)
        np.testing.assert_allclose(second, optimum[:, position + 2], atol=1e-9)


@for_tasks_with_distribution
def test_the_mean_loss_of_a_role_is_its_floor(task: Task) -> None:
    """They agree within five standard errors, for roles all of whose targets have a known distribution."""
    batch = draw_any_split(task, 4 * SEQUENCES)
    nats = np.full(batch.tokens.shape, np.nan)
    for position, joint in known_joints(task, batch, task.length):
        nats[:, position + 1], nats[:, position + 2] = surprisals(batch, position, joint)
    for number, role in enumerate(task.roles[1:], start=1):
        values = nats[:, 1:][batch.roles[:, 1:] == number]
        floor = task.floor(role)
        if floor is not None and len(values) and not np.isnan(values).any():
            error = values.std() / np.sqrt(len(values))
            assert abs(values.mean() - floor) <= 5 * error + 1e-9, role


@for_tasks_with_distribution
def test_frequencies_of_pairs_agree_with_the_joint(task: Task) -> None:
    """The number of each pair at a position agrees with the sum of its probabilities within six deviations."""
    if task.vocab_size > 40:
        pytest.skip("too many pairs")
    size = 2000
    batch = draw_any_split(task, size, seed=1)
    for position, joint in known_joints(task, batch, 8):
        pair = batch.tokens[:, position + 1] * task.vocab_size + batch.tokens[:, position + 2]
        drawn = np.bincount(pair, minlength=task.vocab_size**2)
        chances = joint.reshape(size, -1)
        expected, variance = chances.sum(axis=0), (chances * (1 - chances)).sum(axis=0)
        assert (abs(drawn - expected) <= 6 * np.sqrt(variance) + 6 * (variance > 0) + 1e-6).all(), position
