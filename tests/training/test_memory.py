"""Freed memory is kept, as measured by page faults."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

_COUNT = """
import resource, torch
from lab.training.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(40 << 20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
keep_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_a_large_array_causes_page_faults_only_once() -> None:
    answer = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True)
    usual, kept = map(int, answer.stdout.split())
    if usual < 1000:
        pytest.skip("this C library, or large pages, keep it anyway")
    assert kept < usual / 20
