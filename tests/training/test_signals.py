"""SIGINT, SIGTERM and SIGHUP save the run and report how to resume it; nothing is lost, and handlers are restored."""

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning.pytorch as pl
import pytest

import lab
from lab.cli import main as cli
from lab.config import dump
from lab.runs import checkpoint
from lab.training import fit
from lab.training.fit import make_trainer
from tests.helpers.killing import assert_same_run
from tests.helpers.sweeps import fork
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
RARELY = {"checkpoint__seconds": 1000.0}
"""Settings without a checkpoint, other than that of a signal."""


class Send(pl.Callback):
    """A callback that sends signals to this process at a step."""

    def __init__(self, step: int, *numbers: int) -> None:
        self.step, self.numbers = step, numbers

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            for number in self.numbers:
                signal.raise_signal(number)


def send_signals(patch: pytest.MonkeyPatch, step: int, *numbers: int) -> None:
    """Have training send signals at a step."""
    patch.setattr(fit, "make_trainer", lambda e, callbacks, io: make_trainer(e, [Send(step, *numbers), *callbacks], io))


@pytest.fixture(autouse=True)
def handlers() -> Any:
    """Install handlers that record signals; check that every call restores them."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in SIGNALS}
    ours = {number: signal.getsignal(number) for number in SIGNALS}
    yield received
    assert {number: signal.getsignal(number) for number in SIGNALS} == ours
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def train_whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], lab.Run]:
    """Return a function that trains a run with a number of microbatches in a step without interruption, once."""
    folder = tmp_path_factory.mktemp("whole")
    return functools.cache(lambda accumulate: lab.train(tiny(grad_accum_steps=accumulate), folder / f"{accumulate}"))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_the_run_and_reports_how_to_resume(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    accumulate: int,
    train_whole: Callable[[int], lab.Run],
    handlers: list[int],
) -> None:
    experiment = tiny(grad_accum_steps=accumulate, **RARELY)
    send_signals(monkeypatch, 7, number)
    with pytest.raises(lab.Interrupted, match=r"stopped at step [78]; lab resume .*run continues it") as stopped:
        lab.train(experiment, tmp_path / "run")
    assert (stopped.value.number, handlers) == (number, [])
    assert lab.Run(tmp_path / "run").state == "stopped"
    assert lab.Run(tmp_path / "run").model() is not None
    monkeypatch.undo()
    assert_same_run(lab.resume(tmp_path / "run"), train_whole(accumulate))


def test_a_second_signal_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_whole: Callable[[int], lab.Run]
) -> None:
    send_signals(monkeypatch, 7, signal.SIGTERM, signal.SIGINT)
    with pytest.raises(lab.Interrupted, match=r"ended at once; .* continues it from the last checkpoint") as ended:
        lab.train(tiny(), tmp_path / "run")
    assert ended.value.number == signal.SIGTERM
    monkeypatch.undo()
    assert_same_run(lab.resume(tmp_path / "run"), train_whole(1))


def send_signals_while_saving(patch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """Have a function of a module that saves tensors receive signals before and after."""
    usual = getattr(module, name)

    def save(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        usual(*arguments)
        signal.raise_signal(signal.SIGTERM)

    patch.setattr(module, name, save)


def test_signals_while_a_stopped_run_is_saved_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_whole: Callable[[int], lab.Run]
) -> None:
    send_signals(monkeypatch, 7, signal.SIGTERM)
    send_signals_while_saving(monkeypatch, checkpoint, "save_tensors")
    with pytest.raises(lab.Interrupted, match="stopped at step 7"):
        lab.train(tiny(**RARELY), tmp_path / "run")
    monkeypatch.undo()
    assert_same_run(lab.resume(tmp_path / "run"), train_whole(1))


def test_a_signal_too_late_for_the_run_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: list[int]
) -> None:
    send_signals(monkeypatch, 12, signal.SIGTERM)
    send_signals_while_saving(monkeypatch, fit, "save_weights")
    assert lab.train(tiny(**RARELY), tmp_path / "run").state == "finished"
    assert handlers == [signal.SIGTERM]


def test_ignored_signals_stay_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under nohup a process ignores SIGHUP."""
    ours = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        send_signals(monkeypatch, 7, signal.SIGHUP)
        assert lab.train(tiny(), tmp_path / "run").state == "finished"
    finally:
        signal.signal(signal.SIGHUP, ours)


def test_another_thread_trains_without_handlers(tmp_path: Path) -> None:
    thread = threading.Thread(target=lambda: lab.train(tiny(), tmp_path / "run"))
    thread.start()
    thread.join()
    assert lab.Run(tmp_path / "run").state == "finished"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_with_nothing_to_save_is_interrupted(
    number: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "run_command", lambda *_: signal.raise_signal(number))
    assert cli.main(["evaluate", "run"]) == status
    assert capsys.readouterr().err == "lab: interrupted\n"


WAYS = {
    "one run": ([], "stopped at step"),
    "seeds": (["--seeds", "0:2"], "stopped at step"),
    "together": (["--seeds", "0:2", "--ensemble"], "the same command again, for all 2 runs, continues them"),
}


@pytest.mark.parametrize(
    ("way", "number"),
    [
        *(("one run", number) for number in (*SIGNALS, signal.SIGKILL)),
        *((way, signal.SIGTERM) for way in ("seeds", "together")),
    ],
)
def test_a_command_ends_with_the_status_of_the_signal(tmp_path: Path, way: str, number: int) -> None:
    """Run the command in another process and send it a signal after its second evaluation."""
    more, words = WAYS[way]
    (tmp_path / "e.yaml").write_text(dump(tiny(steps=10**5, evaluation__every=3, **RARELY)))
    read_end, write_end = os.pipe()

    def child() -> None:
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)
        sys.stdout, sys.stderr = os.fdopen(write_end, "w", buffering=1), (tmp_path / "err").open("w")
        status = cli.main(["train", "--config", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run"), *more])
        sys.stderr.flush()
        os._exit(status)

    process = fork(child)
    os.close(write_end)
    with os.fdopen(read_end) as output:
        lines = [line for line, _ in zip(output, range(2), strict=False)]
        assert len(lines) == 2, (tmp_path / "err").read_text()
        assert process.pid is not None
        os.kill(process.pid, number)
        output.read()
    process.join()
    runs = lab.open_runs([tmp_path / "run"])
    if number == signal.SIGKILL:
        assert process.exitcode == -number
        assert {run.state for run in runs} == {"killed"}
        return
    assert process.exitcode == 128 + number
    assert words in (tmp_path / "err").read_text()
    assert {run.state for run in runs} == {"stopped"}
    assert all(run.checkpoint() for run in runs)
