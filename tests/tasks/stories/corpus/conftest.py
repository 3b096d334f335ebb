import pytest

from tasks import Task


@pytest.fixture
def task(corpus_task: Task) -> Task:
    return corpus_task
