"""Two real processes (gloo) agree with one in every metric, with clipping, accumulation, sharding, and after a stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lab
from lab.config import Experiment, dump
from lab.config.objective_table import OBJECTIVES
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process

CLIPPED = {"optimiser.clip_norm": 0.05}
"""A norm so small that every step is clipped."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lab", *words]


def train_with_two_processes(experiment: Experiment, folder: Path) -> lab.Run:
    """Train with two processes by the command."""
    (folder / "e.yaml").write_text(dump(experiment))
    words = command("train", "--config", "e.yaml", "--out", "two")
    answer = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process reports for both"
    return lab.Run(folder / "two")


def assert_same(ours: lab.Run, theirs: lab.Run, tolerance: float = 1e-3) -> None:
    assert len(ours.metrics()) == len(theirs.metrics()) > 0
    for one, other in zip(ours.metrics(), theirs.metrics(), strict=True):
        assert one[:4] == other[:4]
        assert one.value == pytest.approx(other.value, rel=tolerance, abs=tolerance), one.metric


def change(experiment: Experiment, **more: object) -> Experiment:
    return lab.override(experiment, {name.replace("__", "."): value for name, value in more.items()})


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    one = lab.override(tiny(batch_size=8, checkpoint__keep=[6]), CLIPPED)
    two = train_with_two_processes(change(one, devices=2, accumulate=2), tmp_path)
    single = lab.train(one, tmp_path / "one")
    assert_same(two, single)
    assert two.steps() == [6, 12]
    for name, weight in single.model(6).state_dict().items():
        torch.testing.assert_close(two.model(6).state_dict()[name], weight, rtol=1e-3, atol=1e-3)
    norms = [row.value for row in single.metrics() if row.metric == "train/gradient_norm"]
    assert min(norms) > 0.05, "clipping never happened"


@pytest.mark.slow
def test_sharded_weights_train_as_whole_ones(tmp_path: Path) -> None:
    one = lab.override(tiny(batch_size=8, checkpoint__keep=[6]), CLIPPED)
    two = train_with_two_processes(change(one, devices=2, accumulate=2, strategy="fsdp"), tmp_path)
    assert_same(two, lab.train(one, tmp_path / "one"))
    for file in ("model.safetensors", "weights-00000006.safetensors"):
        assert (two.path / file).stat().st_size == (tmp_path / "one" / file).stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, kind in OBJECTIVES.items() if kind.parameters(tiny().model)])
def test_modules_of_an_objective_train_in_two_processes(name: str, tmp_path: Path) -> None:
    one = lab.override(tiny(batch_size=8, objective__name=name), CLIPPED)
    two = train_with_two_processes(change(one, devices=2, accumulate=2), tmp_path)
    assert_same(two, lab.train(one, tmp_path / "one"))


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path: Path) -> None:
    experiment = tiny(batch_size=8, devices=2)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "lab"]
    words = [*torchrun, "train", "--config", "e.yaml", "--out", "two"]
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process reports for both"
    assert_same(lab.Run(tmp_path / "two"), lab.train(change(experiment, devices=1), tmp_path / "one"))


@pytest.mark.slow
def test_several_runs_share_the_processes(tmp_path: Path) -> None:
    experiment = tiny(batch_size=8, devices=2)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    words = command("train", "--config", "e.yaml", "--out", "runs", "--seeds", "0:2")
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=240)
    for seed in (0, 1):
        one = lab.train(change(experiment, devices=1, seed=seed), tmp_path / f"one{seed}")
        assert_same(lab.Run(tmp_path / f"runs/seed{seed}"), one)


def start_and_wait_for_step_50(folder: Path) -> "subprocess.Popen[str]":
    """Start the command and return it after step 50; output and errors are in one pipe."""
    words = command("train", "--config", "e.yaml", "--out", "two")
    training = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert training.stdout is not None
    for line in training.stdout:
        if line.split()[:1] == ["step"] and line.split()[1].startswith("50/"):
            return training
    raise AssertionError("it ended before")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGTERM, 143, "stopped at step"),
        (signal.SIGKILL, 2, "process 1 of 2 (status -9) has ended; lab resume two continues it"),
    ],
)
def test_the_end_of_one_process_ends_both(number: int, status: int, words: str, tmp_path: Path) -> None:
    experiment = change(tiny(batch_size=8, steps=10**6, evaluation__every=50, checkpoint__seconds=1000.0), devices=2)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    training = start_and_wait_for_step_50(tmp_path)
    (child,) = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    os.kill(int(child), number)
    output, _ = training.communicate(timeout=120)
    assert training.returncode == status
    assert words in output
    assert "Traceback" not in output
    assert lab.Run(tmp_path / "two").state == ("stopped" if number == signal.SIGTERM else "killed")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_stopped_processes_resume_exactly(strategy: str, tmp_path: Path) -> None:
    one = tiny(batch_size=8, steps=200, evaluation__every=50, schedule__warmup_steps=3)
    experiment = change(one, devices=2, strategy=strategy)
    (tmp_path / "e.yaml").write_text(dump(experiment))
    training = start_and_wait_for_step_50(tmp_path)
    os.killpg(training.pid, signal.SIGINT)  # as Ctrl-C in a terminal: every process of the group gets the signal
    output, _ = training.communicate(timeout=120)
    assert lab.Run(tmp_path / "two").state == "stopped", output
    answer = subprocess.run(command("resume", "two"), cwd=tmp_path, check=True, capture_output=True, text=True, timeout=240)
    assert answer.stdout.count("two: accuracy") == 1, "one process reports for both"
    assert_same(lab.Run(tmp_path / "two"), lab.train(one, tmp_path / "one"), tolerance=0.02)
