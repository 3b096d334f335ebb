"""The files of a run are checked before it resumes, and wall time adds up."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest

import lab
from lab.errors import LabError
from lab.runs import tables
from lab.runs.files import read_json, write_json
from lab.runs.layout import EXPERIMENT, METRICS, RECORD, TIMING
from lab.runs.lock import LOCK
from lab.sweeping.study.place import is_run_of
from lab.training import module
from tests.helpers.digests import digest_files
from tests.helpers.killing import die, kill_in_step, run_killed, train_killed
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def killed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run that dies after its second evaluation and before any checkpoint, and return its folder."""
    path = tmp_path_factory.mktemp("killed") / "run"
    train_killed(tiny(checkpoint__seconds=1000.0), path, partial(kill_in_step, number=5))
    (path / LOCK).unlink()  # the lock file that the kill has left
    return path


@pytest.fixture
def killed(killed_once: Path, tmp_path: Path) -> lab.Run:
    """Copy the run that was killed."""
    return lab.Run(shutil.copytree(killed_once, tmp_path / "run"))


def test_wall_time_continues_from_the_table(killed: lab.Run) -> None:
    table = killed.path / TIMING
    table.write_text(f"{','.join(tables.TIMING)}\n0,5000.000,1\n3,6000.000,1\n")
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
    before = digest_files(killed.path.rglob("*"))
    with pytest.raises(LabError, match=r"experiment.yaml: was changed since the run began"):
        lab.resume(killed.path)
    assert digest_files(killed.path.rglob("*")) == before
    lab.frame([lab.Run(killed.path)])
    assert "experiment.yaml: was changed since the run began" in capsys.readouterr().err
    file.write_text(text)
    assert lab.resume(killed.path).state == "finished"


@pytest.fixture
def edited(tmp_path: Path) -> lab.Run:
    """Train a run of seed 0 whose file was edited to seed 5."""
    run = lab.train(tiny(steps=4), tmp_path / "edited")
    file = run.path / EXPERIMENT
    file.write_text(file.read_text().replace("seed: 0", "seed: 5"))
    return lab.Run(run.path)


def test_an_edited_finished_run_matches_no_experiment(edited: lab.Run, tmp_path: Path) -> None:
    assert edited.experiment == tiny(steps=4, seed=5)
    with pytest.raises(LabError, match=r"experiment.yaml: was changed since the run began"):
        lab.train_each({edited.path: edited.experiment})
    with pytest.raises(LabError, match=r"experiment.yaml: was changed since the run began"):
        lab.train(tiny(init=str(edited.path)), tmp_path / "second")
    assert not is_run_of(edited.path, edited.experiment)
    assert not is_run_of(edited.path, tiny(steps=4))


def test_comments_and_older_versions_are_no_edits(tmp_path: Path) -> None:
    run = lab.train(tiny(steps=4), tmp_path / "run")
    file = run.path / EXPERIMENT
    file.write_text("# the first one\n" + file.read_text())
    assert not lab.Run(run.path).is_edited
    record = read_json(run.path / RECORD)
    del record["experiment_sha256"]
    write_json(run.path / RECORD, record | {"fingerprint": "of fewer settings"})
    assert not lab.Run(run.path).is_edited


def test_a_kill_during_rewinding_loses_no_wall_time(killed: lab.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (killed.path / TIMING).write_text(f"{','.join(tables.TIMING)}\n0,5000.000,1\n3,6000.000,1\n")

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "keep_until", end)
        with pytest.raises(KeyboardInterrupt):
            lab.resume(killed.path)
    (killed.path / TIMING).unlink()
    assert lab.resume(killed.path).record["wall_seconds"] > 6000


def test_wall_time_of_an_ensemble_adds_up(tmp_path: Path) -> None:
    runs = {tmp_path / f"seed{seed}": tiny(seed=seed) for seed in (0, 1)}

    def child() -> None:
        usual, patch, calls = module.TrainingModule.configure_gradient_clipping, pytest.MonkeyPatch(), []

        def clip(self: object, *arguments: object, **named: object) -> None:
            calls.append(None)
            if len(calls) == 8:
                die()
            usual(self, *arguments, **named)  # type: ignore[arg-type]

        patch.setattr(module.TrainingModule, "configure_gradient_clipping", clip)
        lab.train_ensemble(runs)

    run_killed(child)
    for path in runs:
        table = path / TIMING
        table.write_text(re.sub(r"^(\d+),(\d)", r"\1,500\2", table.read_text(), flags=re.MULTILINE))
    for run in lab.train_ensemble(runs):
        assert list(run.seconds().values()) == sorted(run.seconds().values())
        assert run.record["wall_seconds"] > 5000


def test_a_run_older_than_fingerprints_resumes(killed: lab.Run) -> None:
    record = read_json(killed.path / RECORD)
    del record["fingerprint"], record["experiment_sha256"]
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


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (METRICS, "0,0,0,loss/co\0py/1,1.0", "line 2: not the name of a metric"),
        (METRICS, "0,0,0,loss/\ufffd/1,1.0", "line 2: not the name of a metric"),
        (METRICS, "0,0,0,loss/all/1,1.0", "line .*: loss/all/1 of step 0 stands there twice"),
        (TIMING, "0,nan,1", "line 2: not step"),
        (TIMING, "0,1.0,1", "line 3: not step"),
    ],
)
def test_an_impossible_line_is_named(killed: lab.Run, name: str, line: str, message: str) -> None:
    file = killed.path / name
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], f"{line}\n", *lines[1:]]))
    for use in (lab.resume, lambda path: lab.frame([lab.Run(path)])):
        with pytest.raises(LabError, match=message):
            use(killed.path)


def test_paths_may_be_strings(tmp_path: Path) -> None:
    for train in (lab.train_each, lab.train_ensemble):
        (run,) = train({str(tmp_path / train.__name__): tiny(steps=4)})
        assert run.state == "finished"
