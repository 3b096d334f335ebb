import pytest
import torch

pytest.register_assert_rewrite("tests.helpers")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute with one thread: runs are compared byte by byte, and several processes of tests share the cores."""
    torch.set_num_threads(1)
