"""Only its file determines an experiment: environment variables, working directory and global state change no number."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab
from lab import processes
from lab.config import dump
from lab.errors import LabError
from lab.training.launch import check_launch
from tasks.export import export_lines
from tests.helpers.digests import digest_files
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process

JOB = {
    "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "NODE_RANK": "1", "GROUP_RANK": "1", "MASTER_ADDR": "nowhere",
    "MASTER_PORT": "1", "STANDALONE_PORT": "x", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "77",
    "SLURM_LOCALID": "2", "SLURM_NODEID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_NAME": "job",
    "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMI_RANK": "3", "JSM_NAMESPACE_RANK": "3",
    "LSB_JOBID": "5", "KUBERNETES_PORT": "tcp://1",
}  # fmt: skip
"""Variables of launchers and schedulers that a process which trains alone may inherit."""
LIGHTNINGS = {
    "PL_TRAINER_FAST_DEV_RUN": "1", "PL_TRAINER_LIMIT_TRAIN_BATCHES": "2", "PL_TRAINER_GRADIENT_CLIP_VAL": "1e-3",
    "PL_TRAINER_MAX_TIME": "00:00:00:00", "PL_TRAINER_OVERFIT_BATCHES": "1", "PL_GLOBAL_SEED": "5", "PL_SEED_WORKERS": "1",
    "PL_TRAINER_DETERMINISTIC": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    """Train a run in the usual environment."""
    return lab.train(tiny(), tmp_path_factory.mktemp("plain") / "run")


def read_files(run: lab.Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in ("experiment.yaml", "metrics.csv", "model.safetensors")]


@pytest.mark.parametrize("variables", [JOB, LIGHTNINGS], ids=["job", "lightning"])
def test_environment_variables_change_nothing(
    plain: lab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"a checkpoint that Lightning would look for under Slurm")
    before = dict(os.environ)
    assert read_files(lab.train(tiny(), tmp_path / "odd")) == read_files(plain)
    assert dict(os.environ) == before


def test_variables_at_import_do_not_add_a_second_writer(plain: lab.Run, tmp_path: Path) -> None:
    """With RANK=1 left in the shell, an existing run does not change and a new one is complete."""
    existing = shutil.copytree(plain.path, tmp_path / "plain")
    (tmp_path / "e.yaml").write_text(dump(tiny()))
    before = digest_files(existing.iterdir())
    code = (
        "import lightning.pytorch; from lab.cli.main import main\n"
        "print(*(main(['train', '--config', 'e.yaml', '--out', folder]) for folder in ('plain', 'new')))"
    )
    words = [sys.executable, "-c", code]
    answer = subprocess.run(words, cwd=tmp_path, env=os.environ | JOB, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "2 0", answer.stderr
    assert "plain: a run is there already" in answer.stderr
    assert digest_files(existing.iterdir()) == before
    assert read_files(lab.Run(tmp_path / "new")) == read_files(plain)


def state() -> list[Any]:
    generators = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]
    switches = [torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_float32_matmul_precision()]
    return [*generators, *switches, torch.get_num_threads(), torch.is_autocast_enabled("cpu"), torch.get_default_device()]


def test_global_state_changes_nothing_and_is_restored(plain: lab.Run, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("".join(f"{line}\n" for line in export_lines(tiny().task, "test", 4, 0)))
    measured = lab.evaluate(plain, tmp_path / "data.jsonl")
    usual = torch.get_default_dtype(), torch.get_float32_matmul_precision(), torch.get_rng_state()
    try:
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
            before = state()
            odd = lab.train(tiny(), tmp_path / "odd")
            assert {(weight.dtype, weight.device.type) for weight in odd.model().parameters()} == {(torch.float32, "cpu")}
            again = lab.evaluate(plain, tmp_path / "data.jsonl")
            assert state() == before
        with torch.no_grad():
            assert lab.resume(make_run(tmp_path / "stopped", tiny(), state="stopped")).metrics() == plain.metrics()
    finally:
        torch.set_default_dtype(usual[0])
        torch.set_float32_matmul_precision(usual[1])
        torch.set_rng_state(usual[2])
    assert read_files(odd) == read_files(plain)
    assert again.equals(measured)


def pretend_torchrun(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Pretend that torchrun started this process."""
    monkeypatch.setattr(processes, "_by_torchrun", True)
    monkeypatch.setattr(processes, "_started", variables)


def test_a_launch_needs_as_many_processes_as_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(LabError, match="devices must be 1 in each of the 2 processes of srun, not 2: start one process"):
        lab.train(tiny(devices=2), tmp_path / "run")
    pretend_torchrun(monkeypatch, RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    check_launch(tiny(devices=2))
    with pytest.raises(LabError, match="devices must be 2, the processes that torchrun started, not 1"):
        lab.train(tiny(), tmp_path / "run")
    pretend_torchrun(monkeypatch, RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="1")
    with pytest.raises(LabError, match="devices must be 2, the processes that torchrun started on several machines"):
        lab.train(tiny(devices=2), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_several_devices_need_a_program_that_can_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(LabError, match="devices must be 1 in a notebook or a program without a file, not 2"):
        lab.train(tiny(devices=2), tmp_path / "run")
    assert not list(tmp_path.iterdir())
