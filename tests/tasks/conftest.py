"""Every task that the shared tests run over: ours, those of installed packages, and two that a user would write."""

import pytest

import tasks
from tasks import Task

EVERY = [*tasks.names(), "tests.tasks.users_task:Parity", "tests.tasks.users_walk:Walk"]


@pytest.fixture
def every_task() -> list[str]:
    return EVERY


@pytest.fixture(params=EVERY)
def task(request: pytest.FixtureRequest) -> Task:
    return tasks.get(request.param)
