"""What a run's folder tells is checked before the run goes on, and wall time adds up."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab.config import Experiment
from lab.errors import LabError
from lab.runs import metrics
from lab.runs.files import read_json, write_json
from lab.runs.run import EXPERIMENT, METRICS, RECORD, TIMING
from lab.training import callbacks
from lab.training.recorder import Recorder

Make = Callable[..., Experiment]


@pytest.fixture
def killed(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Run:
    """A run that ended after its second evaluation without any word in its record."""

    def end(self: object, step: int, values: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "measured", end)
        patch.setattr(Recorder, "note", lambda self, state: None)
        with pytest.raises(BaseException):  # noqa: B017, PT011
            lab.train(tiny(), tmp_path / "run")
    return lab.Run(tmp_path / "run")


def test_wall_time_goes_on_from_the_table(killed: lab.Run) -> None:
    table = killed.path / TIMING
    table.write_text(f"{','.join(metrics.TIMING)}\n0,5000.000,1\n3,6000.000,1\n")
    assert killed.record["wall_seconds"] == 0
    run = lab.resume(killed.path)
    seconds = list(run.seconds().values())
    assert seconds == sorted(seconds)
    assert seconds[-1] > 6000
    assert run.record["wall_seconds"] > 6000


def test_a_changed_experiment_does_not_resume(killed: lab.Run, capsys: pytest.CaptureFixture[str]) -> None:
    file = killed.path / EXPERIMENT
    text = file.read_text()
    file.write_text(text.replace("batch_size: 4", "batch_size: 8"))
    before = {path: path.read_bytes() for path in killed.path.rglob("*") if path.is_file()}
    with pytest.raises(LabError, match=r"experiment.yaml: was changed since the run began"):
        lab.resume(killed.path)
    assert {path: path.read_bytes() for path in killed.path.rglob("*") if path.is_file()} == before
    lab.frame([lab.Run(killed.path)])
    assert "experiment.yaml: was changed since the run began" in capsys.readouterr().err
    file.write_text(text)
    assert lab.resume(killed.path).state == "finished"


def test_a_run_of_before_fingerprints_resumes(killed: lab.Run) -> None:
    record = read_json(killed.path / RECORD)
    del record["fingerprint"]
    write_json(killed.path / RECORD, record)
    assert lab.resume(killed.path).state == "finished"


@pytest.mark.parametrize("damage", ["\n", "\0\0\0\n", "1,2\n", "a,b,c,d,e\n", "0,nan\n"])
@pytest.mark.parametrize("name", [METRICS, TIMING])
def test_a_damaged_table_is_named_with_its_line(killed: lab.Run, name: str, damage: str) -> None:
    file = killed.path / name
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], damage, *lines[1:]]))
    for use in (lab.resume, lambda path: lab.frame([lab.Run(path)])):
        with pytest.raises(LabError, match=rf"{name}, line 2: not step"):
            use(killed.path)


def test_paths_may_be_texts(tiny: Make, tmp_path: Path) -> None:
    for train in (lab.train_each, lab.train_together):
        (run,) = train({str(tmp_path / train.__name__): tiny(steps=4)})
        assert run.state == "finished"
