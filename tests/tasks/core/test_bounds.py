"""Floors, chance levels and optima of every task; splits that follow the stated distribution."""

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.batch import join
from tests.helpers.small_tasks import SMALL


def test_floors_and_chances_are_within_their_bounds(task: Task) -> None:
    for role in task.roles:
        floor, chance = task.floor(role), task.chance(role)
        assert floor is None or (np.isfinite(floor) and floor >= 0), role
        assert chance is None or 0 < chance <= 1, role
    with pytest.raises(TaskError, match="no role"):
        task.role("no such role")


def test_no_floor_is_above_the_loss_of_the_optimum(task: Task) -> None:
    batch = task.batch(0, 0, 4096)
    optimum = task.optimum(batch.tokens)
    if optimum is None:
        return
    assert optimum.shape == batch.tokens.shape
    for number, role in enumerate(task.roles):
        floor, losses = task.floor(role), optimum[:, 1:][batch.roles[:, 1:] == number]
        if floor is not None and len(losses):
            assert floor <= losses.mean() + 3 * losses.std() / np.sqrt(len(losses)) + 1e-12, role


@pytest.mark.parametrize(
    ("name", "settings"), SMALL, ids=lambda value: value.rpartition(":")[2] if isinstance(value, str) else ""
)
def test_splits_of_small_tasks_follow_the_stated_distribution(name: str, settings: dict[str, object]) -> None:
    """Compare shares of strata, and the mean of `optimum`, whose error is over instances, however often each is drawn."""
    task = tasks.get(name, **settings)
    stated = np.array([stratum.chance for stratum in task.strata()])
    assert stated.sum() == pytest.approx(1)
    found: set[bytes] = set()
    for split in SPLITS:
        batch = join([task.batch(0, index, 1000, split) for index in range(3)])
        drawn = np.bincount(task.stratum(batch.tokens), minlength=len(stated))
        error = np.sqrt(len(batch) * stated * (1 - stated))
        assert (abs(drawn - len(batch) * stated) <= 4.5 * error + 1e-9).all(), (split, drawn / len(batch))
        every, instance = np.unique(task.instances(batch.tokens), axis=0, return_inverse=True)
        instances = {row.tobytes() for row in every}
        assert not instances & found, split
        found |= instances
        optimum = task.optimum(batch.tokens)
        for number, role in enumerate(task.roles if optimum is not None else ()):
            floor, here = task.floor(role), batch.roles[:, 1:] == number
            if floor is not None and here.any():
                nats = np.where(here, optimum[:, 1:] - floor, 0).sum(axis=1)
                error = np.sqrt((np.bincount(instance.ravel(), weights=nats) ** 2).sum())
                assert abs(nats.sum()) <= 3.5 * error + 1e-9 * here.sum(), (split, role, nats.sum() / here.sum())
