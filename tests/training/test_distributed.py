"""Two real processes (gloo) against one: every metric, with clipping, accumulation, sharding, and after a stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab.config import Experiment, dump

CLIPPED = {"optimiser.clip_norm": 0.05}
"""So small that every step is clipped."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lab", *words]


def two_processes(experiment: Experiment, folder: Path) -> lab.Run:
    """Train with two processes, as a user does."""
    (folder / "e.yaml").write_text(dump(experiment))
    words = command("train", "--config", "e.yaml", "--out", "two")
    answer = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process speaks for both"
    return lab.Run(folder / "two")


def assert_same(ours: lab.Run, theirs: lab.Run, tolerance: float = 1e-3) -> None:
    assert len(ours.metrics()) == len(theirs.metrics()) > 0
    for one, other in zip(ours.metrics(), theirs.metrics(), strict=True):
        assert one[:4] == other[:4]
        assert one.value == pytest.approx(other.value, rel=tolerance, abs=tolerance), one.metric


def changed(experiment: Experiment, **more: object) -> Experiment:
    return lab.override(experiment, {name.replace("__", "."): value for name, value in more.items()})


def test_two_processes_with_accumulation_and_clipping_train_as_one_does(
    tiny: Callable[..., Experiment], tmp_path: Path
) -> None:
    one = lab.override(tiny(batch_size=8), CLIPPED)
    two = two_processes(changed(one, devices=2, accumulate=2), tmp_path)
    single = lab.train(one, tmp_path / "one")
    assert_same(two, single)
    norms = [row.value for row in single.metrics() if row.metric == "train/gradient_norm"]
    assert min(norms) > 0.05, "clipping never happened"


def test_sharded_weights_train_as_whole_ones_do(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    one = lab.override(tiny(batch_size=8), CLIPPED)
    two = two_processes(changed(one, devices=2, accumulate=2, strategy="fsdp"), tmp_path)
    assert_same(two, lab.train(one, tmp_path / "one"))
    assert (two.path / "model.safetensors").stat().st_size == (tmp_path / "one" / "model.safetensors").stat().st_size


@pytest.mark.slow
def test_torchrun_starts_the_processes(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = tiny(batch_size=8, devices=2)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lab"]
    words = [*torchrun, "train", "--config", "e.yaml", "--out", "two"]
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process speaks for both"
    assert_same(lab.Run(tmp_path / "two"), lab.train(changed(experiment, devices=1), tmp_path / "one"))


@pytest.mark.slow
def test_several_runs_share_the_processes(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = tiny(batch_size=8, devices=2)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    words = command("train", "--config", "e.yaml", "--out", "runs", "--seeds", "0:2")
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=240)
    for seed in (0, 1):
        one = lab.train(changed(experiment, devices=1, seed=seed), tmp_path / f"one{seed}")
        assert_same(lab.Run(tmp_path / f"runs/seed{seed}"), one)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_stopped_between_evaluations_go_on_as_if_they_had_not_been(
    strategy: str, tiny: Callable[..., Experiment], tmp_path: Path
) -> None:
    one = tiny(batch_size=8, steps=200, evaluation__every=50, schedule__warmup_steps=3)
    experiment = changed(one, devices=2, strategy=strategy)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    words = command("train", "--config", "e.yaml", "--out", "two")
    training = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    metrics = tmp_path / "two" / "metrics.csv"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and "\n50," in metrics.read_text()):
        assert training.poll() is None, training.stdout.read() if training.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(training.pid, signal.SIGINT)  # as Ctrl-C in a terminal does: every process of the group hears it
    output, _ = training.communicate(timeout=120)
    assert lab.Run(tmp_path / "two").state == "stopped", output
    answer = subprocess.run(command("resume", "two"), cwd=tmp_path, check=True, capture_output=True, text=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process speaks for both"
    assert_same(lab.Run(tmp_path / "two"), lab.train(one, tmp_path / "one"), tolerance=0.02)
