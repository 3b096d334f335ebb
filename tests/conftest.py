import os

import pytest
import torch

os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start

pytest.register_assert_rewrite("tests.helpers")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Compute with one thread: runs are compared byte by byte, and several processes of tests share the cores."""
    torch.set_num_threads(1)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Describe files that differ by size and place: pytest prints all their bytes on a server, and buries the test's name."""
    if not (op == "==" and isinstance(left, bytes) and isinstance(right, bytes)):
        return None
    pairs = zip(left, right, strict=False)
    place = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    return [f"{len(left)} bytes == {len(right)} bytes", f"they differ from byte {place} on"]
