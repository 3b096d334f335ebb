"""Loggers have the series of metrics.csv, also after a kill, and never make a run fail."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

import lab
from lab.errors import LabError
from lab.training.callbacks import StopOnSignal
from lab.training.loggers import LOGGERS, RunLoggers
from tests.helpers.killing import die, kill_before_any_checkpoint, kill_in_step, run_killed
from tests.helpers.loggers import READERS, Plain, Series, plain_log
from tests.helpers.rejection import assert_rejected, train
from tests.helpers.tiny import tiny

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore")]
INSTALLED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name in LOGGERS and find_spec(LOGGERS[name].package) is None, reason=f"{name} is not installed"
        ),
    )
    for name in READERS
]


@pytest.fixture(autouse=True)
def use_plain_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOGGERS, "plain", Plain)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("WANDB_MODE", "offline")


def series_of(run: lab.Run) -> Series:
    """Return the points in a run's tables."""
    series: Series = {}
    for row in run.metrics():
        series.setdefault(row.metric, []).append((row.step, row.value))
    return series


def assert_logged(run: lab.Run, name: str) -> None:
    """Assert that a logger has every point once, in order, and the settings."""
    found, width = READERS[name](run)
    expected = series_of(run)
    assert found.keys() == expected.keys()
    for metric, points in expected.items():
        assert [step for step, _ in found[metric]] == [step for step, _ in points], metric
        assert [value for _, value in found[metric]] == pytest.approx([value for _, value in points], nan_ok=True)
    assert width == run.experiment.model.width


def train_killed(path: Path, logger: str, kill: Callable[[pytest.MonkeyPatch], None]) -> lab.Run:
    """Train with a logger in a child process that the patches of `kill` kill."""

    def work() -> None:
        kill(pytest.MonkeyPatch())
        lab.train(tiny(), path, loggers=[logger])

    run_killed(work)
    return lab.Run(path)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_logger_has_the_series_of_the_tables(name: str, tmp_path: Path) -> None:
    run = lab.train(tiny(), tmp_path / "run", loggers=[name])
    assert_logged(run, name)
    plain = lab.train(tiny(), tmp_path / "plain")
    assert (run.path / "metrics.csv").read_bytes() == (plain.path / "metrics.csv").read_bytes()
    assert (run.path / "model.safetensors").read_bytes() == (plain.path / "model.safetensors").read_bytes()
    assert run.experiment.fingerprint == plain.experiment.fingerprint
    assert "loggers" not in plain.record


def after_logging(patch: pytest.MonkeyPatch) -> None:
    """Make training die when the third point is logged and its checkpoint is not written."""
    usual = RunLoggers.log

    def log(self: RunLoggers, step: int, values: Mapping[str, float]) -> None:
        usual(self, step, values)
        if step == 6:
            die()

    patch.setattr(RunLoggers, "log", log)


def before_logging(patch: pytest.MonkeyPatch) -> None:
    """Make training die when the third point is in the tables and not logged."""
    usual = RunLoggers.log
    patch.setattr(RunLoggers, "log", lambda self, step, values: die() if step == 6 else usual(self, step, values))


@pytest.mark.parametrize("kill", [kill_in_step, after_logging, before_logging, kill_before_any_checkpoint])
@pytest.mark.parametrize("name", INSTALLED)
def test_a_killed_run_gives_the_same_series(name: str, kill: Callable[[pytest.MonkeyPatch], None], tmp_path: Path) -> None:
    assert_logged(lab.resume(train_killed(tmp_path / "run", name, kill)), name)


def test_a_lost_log_is_written_again(tmp_path: Path) -> None:
    run = train_killed(tmp_path / "run", "plain", kill_in_step)
    plain_log(run).unlink()
    assert_logged(lab.resume(run), "plain")


def test_the_log_of_a_stopped_run_is_closed_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(StopOnSignal, "__init__", lambda self: self.__dict__.update(signal_number=15, saving=False))
        with pytest.raises(lab.Interrupted):
            lab.train(tiny(), tmp_path / "run", loggers=["plain"])
    run = lab.resume(tmp_path / "run")
    assert_logged(run, "plain")
    states = [line for line in plain_log(run).read_text().splitlines() if "state" in line and "values" not in line]
    assert states[-1] == '{"state": "finished"}'
    assert '{"state": "stopped"}' in states


def test_members_of_an_ensemble_are_logged_separately(tmp_path: Path) -> None:
    experiments = {tmp_path / f"seed{seed}": tiny(seed=seed) for seed in range(2)}
    first, second = lab.train_ensemble(experiments, loggers=["plain"])
    assert_logged(first, "plain")
    assert_logged(second, "plain")
    assert READERS["plain"](first)[0] != READERS["plain"](second)[0]


def test_several_runs_are_logged(tmp_path: Path) -> None:
    for run in lab.train_each({tmp_path / f"seed{seed}": tiny(seed=seed) for seed in range(2)}, loggers=["plain"]):
        assert_logged(run, "plain")


def test_an_unknown_logger_is_rejected_before_any_training(tmp_path: Path) -> None:
    first = train_killed(tmp_path / "first", "plain", kill_in_step)
    with pytest.raises(lab.LabError, match="unknown logger 'plane'; did you mean 'plain'"):
        lab.train_each({first.path: first.experiment, tmp_path / "second": tiny(seed=1)}, loggers=["plane"])
    assert lab.Run(first.path).state != "finished"


@pytest.mark.parametrize("when", ["__init__", "has", "log", "close"])
def test_a_failing_logger_does_not_fail_the_run(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no\nspace left")

    monkeypatch.setitem(LOGGERS, "broken", type("Broken", (Plain,), {when: fail}))
    run = lab.train(tiny(), tmp_path / "run", loggers=["broken", "plain"])
    assert run.state == "finished"
    warning = "lab: logger broken is left out from here on, and training goes on: no space left\n"
    assert capsys.readouterr().err == warning
    assert len(series_of(run)["loss/all/1"]) == 5


def test_a_resumed_run_continues_without_a_missing_logger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train_killed(tmp_path / "run", "plain", kill_in_step)
    monkeypatch.delitem(LOGGERS, "plain")
    assert lab.resume(run).state == "finished"
    assert "logger plain is left out" in capsys.readouterr().err


def test_wrong_loggers_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(LOGGERS, "absent", type("Absent", (Plain,), {"package": "no_such_package"}))
    with pytest.raises(LabError, match=r"absent is not installed: pip install 'mtp-lab\[no_such_package\]'"):
        lab.train_ensemble({tmp_path / "run": tiny()}, loggers=["absent"])
    assert_rejected(train("--log", "tensorbord"), ("unknown logger 'tensorbord'", "did you mean 'tensorboard'"), capsys)
    assert_rejected(train("--log", "plain,absent", "--seeds", "0:2"), ("absent is not installed",), capsys)
    assert list(tmp_path.iterdir()) == []
