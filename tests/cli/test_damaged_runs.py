"""Damaged, finished or unsuitable runs: one line that names the fault, exit status 2, and nothing written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lab
from lab.cli.arguments import parse_settings
from lab.training.checkpoint_io import SafetensorsIO
from tests.helpers.rejection import TINY, assert_rejected

pytestmark = pytest.mark.process


def truncate(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (file,) = run.rglob(name)
        file.write_bytes(file.read_bytes()[:20])

    return damage


def remove(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (file,) = run.rglob(name)
        file.unlink()

    return damage


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def make_unfinished(run: Path) -> None:
    """Make a finished run look as if it had been killed after its last checkpoint."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"state": "running"}))
    SafetensorsIO().save_checkpoint({"state": torch.zeros(50)}, run / "checkpoint-00000002")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    lab.train(lab.experiment("induction", parse_settings(TINY)), path)
    return path


UNFINISHED = [
    pytest.param(None, "not a checkpoint of a run", id="checkpoint of something else"),
    pytest.param(truncate("state.json"), "state.json: not JSON", id="checkpoint's state cut short"),
    pytest.param(truncate("state.safetensors"), "not a whole safetensors file", id="checkpoint cut short"),
    pytest.param(remove("state.safetensors"), "no such file", id="checkpoint without tensors"),
    pytest.param(truncate("experiment.yaml"), "experiment.yaml", id="experiment cut short"),
]


@pytest.mark.parametrize(("damage", "message"), UNFINISHED)
def test_an_unfinished_run_that_cannot_resume_is_named(
    damage: Callable[[Path], None] | None, message: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, "run")
    make_unfinished(Path("run"))
    if damage is not None:
        damage(Path("run"))
    assert_rejected(["resume", "run"], (message,), capsys)


DAMAGED = [
    pytest.param("resume run", None, "run: is finished", id="resume of a finished run"),
    pytest.param("train induction --out run", None, "run: a run is there already", id="out is a run"),
    pytest.param("plot emergence run -o x.png", truncate("metrics.csv"), "not a table of metrics", id="metrics cut short"),
    pytest.param("plot emergence run -o x.png --metric accuracy/cpy/1", None, "accuracy/copy/1", id="unknown metric"),
    pytest.param(
        "plot size run -o x.png --metric accuracy/cpy/1", None, "accuracy/copy/1", id="unknown metric of a figure of sizes"
    ),
    pytest.param("plot survival run -o x.png --by sede", None, "the runs do not differ in 'sede'", id="unknown setting"),
    pytest.param("plot pareto run -o x.png --cost effort", None, "unknown cost 'effort'", id="unknown cost"),
    pytest.param("evaluate run --data gone.txt", None, "gone.txt: No such file", id="data that is not there"),
    pytest.param("evaluate run --data run", None, "run: Is a directory", id="data that is a folder"),
    pytest.param(
        "evaluate run --data run/experiment.yaml",
        None,
        "experiment.yaml, line 1: induction: 'task:' is not a token id, a number below 12",
        id="data that is something else",
    ),
    pytest.param(
        "evaluate run --data run/data.txt",
        write("data.txt", "0 1 2 0 1 2 0 1 2 0 1 2\n0 1 2 0 1 2 0 1 2 0 1\n"),
        "data.txt, line 2: induction: the number of tokens in a line must be 12, not 11",
        id="data of another length",
    ),
    pytest.param(
        "evaluate run --data run/data.txt -o x.csv",
        write("data.txt", "0 1 2 0 1 2 0 1 2 0 1 2\n0 1 2 0 1 2 0 1 2 0 1 3\n"),
        "data.txt, line 2: induction: token 11 must be 2, as 3 before, not 3",
        id="data with a wrong token",
    ),
    pytest.param(
        "evaluate run --data run/data.txt",
        write("data.txt", '{"line": "1 2", "task": "recall", "settings": {}}\n'),
        "data.txt, line 1: task must be induction, not 'recall'",
        id="data of another task",
    ),
    pytest.param(
        "evaluate run --data run/data.txt",
        write("data.txt", b"\xff\xfe\x00\x81"),
        "data.txt: not a text file",
        id="data that is binary",
    ),
    pytest.param("plot importance run -o x.png", None, "differ in no setting", id="importance of one run"),
    pytest.param(
        "plot parallel run -o x.png --by n_future", None, "unrecognized arguments: --by", id="an option of another figure"
    ),
    pytest.param(
        "plot gradients run -o x.png", None, "train with evaluation.measures.gradients", id="gradients without diagnostics"
    ),
    pytest.param("runs run", truncate("run.json"), "run.json: not JSON", id="record cut short"),
]


@pytest.mark.parametrize(("arguments", "damage", "message"), DAMAGED)
def test_a_damaged_or_unsuitable_run_is_named_in_one_line(
    arguments: str,
    damage: Callable[[Path], None] | None,
    message: str,
    finished: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(finished, "run")
    if damage is not None:
        damage(Path("run"))
    assert_rejected(arguments.split(), (message,), capsys)
