"""A sweep of version 0.1.0 that was killed in its second run resumes from its folder."""

import shutil
from pathlib import Path

import pytest

import lab
from lab.sweeping import look
from lab.sweeping.prepare import prepare
from lab.sweeping.workers.worker import work

pytestmark = pytest.mark.process  # seconds each

OLD = Path(__file__).parent / "old"


def test_an_old_sweep_resumes(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    file, runs = tmp_path / "old/sweep.yaml", tmp_path / "old/runs"
    found = look(file, runs)
    assert found.sentence() == "4 runs of 4 configurations: 1 finished, 1 killed, 2 waiting"
    finished = (runs / "n1-small-seed0/metrics.csv").read_bytes()
    work(prepare(file, runs).job, lambda _: None)
    assert look(file, runs).sentence() == "4 runs of 4 configurations: 4 finished"
    assert (runs / "n1-small-seed0/metrics.csv").read_bytes() == finished
    resumed = lab.Run(runs / "n1-large-seed0")
    assert sorted({row.step for row in resumed.metrics()}) == [0, 3, 6, 9, 12]
