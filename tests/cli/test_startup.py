"""The large packages that each command imports: one more would delay its first output by much of a second."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lab
from tests.helpers.runs import make_run

LARGE = {
    *("torch", "torch._inductor.compile_fx", "lightning", "torchmetrics", "torchmetrics.functional", "torchmetrics.text"),
    *("pandas", "scipy", "scipy.signal", "scipy.stats", "matplotlib", "matplotlib.pyplot", "transformers"),
    *("pydantic", "rich", "optuna", "sqlalchemy", "ray", "IPython"),
}
PLOT = {"pydantic", "pandas", "scipy", "matplotlib"}
TRAIN = {"pydantic", "rich", "torch", "lightning", "torchmetrics", "matplotlib", "matplotlib.pyplot"}
"""The base class of torchmetrics imports matplotlib."""

COMMANDS: dict[str, set[str]] = {
    "--help": set(),
    "tasks": {"rich"},
    "runs runs": {"pydantic", "rich"},
    "plot emergence runs -o figure.png": PLOT,
    "train induction --steps 1 --schedule.warmup_steps 0 --evaluation.examples 8 --out trained": TRAIN,
}
"""The packages of `LARGE` that each command imports."""

PROGRAM = """
import json, sys
from lab.cli.main import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted(sys.modules)]))
"""


@pytest.mark.process
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_uses(command: str, tmp_path: Path) -> None:
    for seed in range(5):  # a figure has a band from five seeds on
        experiment = lab.experiment("induction", seed=seed)
        make_run(tmp_path / f"runs/{seed}", experiment, {step: {"accuracy/copy/1": step / 20} for step in (0, 10, 20)})
    status, modules = run_program(command.split(), tmp_path)
    assert status == 0
    assert LARGE & set(modules) == COMMANDS[command]


@pytest.mark.process
def test_import_lab_imports_nothing_large(tmp_path: Path) -> None:
    program = "import json, sys, lab; print(json.dumps([dir(lab), lab.LabError.__name__, sorted(sys.modules)]))"
    names, error, modules = run_program([], tmp_path, program)
    assert {"train", "Run", "LabError"} <= set(names)
    assert error == "LabError"
    assert not LARGE & set(modules)


def test_an_unknown_name_of_lab_is_rejected() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = lab.nonsense


@pytest.mark.slow
def test_torchmetrics_is_completed_on_demand(tmp_path: Path) -> None:
    program = """
import json, sys
import lab.training, lightning.pytorch.core.module, torchmetrics
before = "torchmetrics.classification" in sys.modules
same = issubclass(torchmetrics.Accuracy, lightning.pytorch.core.module.Metric)
print(json.dumps([before, same]))
"""
    assert run_program([], tmp_path, program) == [False, True]


def run_program(arguments: list[str], folder: Path, program: str = PROGRAM) -> list[Any]:
    """Run a program in another process; return the JSON list that is its last line."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
