"""Standard output that is full, closed or ASCII, and an unusable home folder: no traceback, and nothing is lost."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

import lab
from lab.cli.main import main
from tests.helpers.rejection import TINY, TRAIN

pytestmark = pytest.mark.process

FULL = "lab: standard output: No space left on device\n"


@contextmanager
def full_disk() -> Iterator[None]:
    """Redirect standard output to a full disk."""
    with Path("/dev/full").open("w") as stream, redirect_stdout(stream):
        yield


@contextmanager
def closed_pipe() -> Iterator[None]:
    """Redirect standard output to a pipe whose reader has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, redirect_stdout(stream):
        yield


WORDS = [["tasks"], ["--help"], ["train", "--help"], ["tasks", "export", "star", "--size", "3"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_full_standard_output_is_named(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with full_disk():
        assert main(words) == 2
    assert capfd.readouterr().err == FULL


def test_wrong_input_is_named_with_full_output_too(capfd: pytest.CaptureFixture[str]) -> None:
    with full_disk():
        assert main(["tsks"]) == 2
    assert capfd.readouterr().err.startswith("lab: unknown command 'tsks'")


def test_python_prints_nothing_more_at_exit() -> None:
    code = "import sys; from lab.cli.main import main; sys.exit(main(['tasks']))"
    with Path("/dev/full").open("w") as stream:
        answer = subprocess.run([sys.executable, "-c", code], stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (2, FULL)


def test_a_full_standard_output_does_not_stop_training(capfd: pytest.CaptureFixture[str]) -> None:
    with full_disk():
        assert main(TRAIN) == 2
    assert capfd.readouterr().err == FULL
    assert lab.Run("new").state == "finished"


def test_a_closed_pipe_does_not_stop_training(capfd: pytest.CaptureFixture[str]) -> None:
    with closed_pipe():
        assert main(TRAIN) == 0
    assert capfd.readouterr().err == ""
    assert lab.Run("new").state == "finished"


def test_no_standard_output_at_all_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as in Python after `>&-`
    assert main(["tasks"]) == 0


def test_an_ascii_terminal_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main([*TRAIN[:-1], "Grüße \udcff"]) == 0
    assert rb"Gr\xfc\xdfe \udcff: accuracy" in stream.buffer.getvalue()  # type: ignore[attr-defined]
    assert main(["runs", "."]) == 0


def test_data_is_utf_8_on_an_ascii_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["train", "induction", "--init", "Grüße", "--print-config"]) == 0
    Path("e.yaml").write_bytes(stream.buffer.getvalue())  # type: ignore[attr-defined]
    assert lab.load("e.yaml").init == "Grüße"


def test_a_name_that_is_not_utf_8_can_be_plotted() -> None:
    assert main(["train", "induction", *TINY, "--out", "runs/\udcff"]) == 0
    assert main(["plot", "emergence", "runs", "-o", "\udcff.png"]) == 0
    assert {path.name for path in Path().iterdir()} == {"runs", "\udcff.png", "\udcff.csv"}


def test_a_home_that_cannot_be_written_is_no_error() -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "lab", "tasks", "draw", "star", "-o", "star.png"]
    answer = subprocess.run(command, env={"PYTHONPATH": root, "HOME": "/proc"}, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "star.png\n"), answer.stderr
    assert "Traceback" not in answer.stderr
