import pytest

import tasks
from tasks import Task
from tests.tasks.every import EVERY


@pytest.fixture
def every_task() -> list[str]:
    return EVERY


@pytest.fixture(params=EVERY)
def task(request: pytest.FixtureRequest) -> Task:
    return tasks.get(request.param)
