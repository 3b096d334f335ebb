"""Freed memory is kept, as measured by page faults."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

_COUNT = """
import resource, torch
from lab.training.memory import keep_freed_memory
{keep}

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(40 << 20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_a_large_array_causes_page_faults_only_once() -> None:
    def count(keep: str) -> int:
        done = subprocess.run([sys.executable, "-c", _COUNT.format(keep=keep)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    usual = count("")
    if usual < 1000:
        pytest.skip("this C library, or large pages, keep it anyway")
    assert count("keep_freed_memory()") < usual / 20
