import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab.config import Experiment, dump


def test_two_processes_with_accumulation_train_as_one_does(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = tiny(devices=2, accumulate=2, batch_size=8)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    command = [sys.executable, "-m", "lab", "train", "--config", "e.yaml", "--out", "two"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.count("two: accuracy") == 1, "one process speaks for both"
    two = lab.Run(tmp_path / "two")
    one = lab.train(tiny(batch_size=8), tmp_path / "one")
    for ours, theirs in zip(two.metrics(), one.metrics(), strict=True):
        assert ours[:3] == theirs[:3]
        assert ours.value == pytest.approx(theirs.value, rel=1e-3, abs=1e-3), ours.metric
