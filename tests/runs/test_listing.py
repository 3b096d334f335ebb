"""Lists of runs are filtered and sorted by the values in their files."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lab
from lab.errors import LabError
from lab.runs.listing import COLUMNS, ListedRun, choose_runs, list_runs, sort_runs
from lab.runs.lock import LOCK, Lock
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write runs: n = 1, 2, 3 of induction, of which the third was killed, one of recall, and one that cannot be read."""
    for n in (1, 2, 3):
        experiment = lab.experiment("induction", {"n_future": n, "seed": 10 - n, "lr": 0.001 * n, "steps": 400})
        make_run(
            tmp_path / f"n{n}",
            experiment,
            {0: {METRIC: 0.1}, 200: {METRIC: 0.2 * n}},
            state="running" if n == 3 else "finished",
        )
    make_run(tmp_path / "other", lab.experiment("recall", {"seed": 1, "steps": 400}), {0: {"loss/all/1": 2.0}})
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/run.json").write_text("{}")
    return tmp_path


def names(runs: list[ListedRun]) -> list[str]:
    return [run.path.name for run in runs]


def test_every_run_is_listed_once_with_its_state(folder: Path) -> None:
    listed = list_runs([folder, folder / "n1", folder])
    assert names(listed) == ["n1", "n2", "n3", "odd", "other"]
    assert [run.value("state") for run in listed] == ["finished", "finished", "killed", "damaged", "finished"]
    assert listed[3].value("error") == f"{folder}/odd/run.json: not the record of a run"
    assert {name for name in COLUMNS if listed[3].value(name) is not None} == {"run", "state", "error"}
    one = {name: listed[0].value(name) for name in ("run", "task", "n", "size", "seed", "step", "steps", "metric", "value")}
    assert one == {
        "run": str(folder / "n1"),
        "task": "induction",
        "n": 1,
        "size": "4x64",
        "seed": 9,
        "step": 200,
        "steps": 400,
        "metric": METRIC,
        "value": 0.2,
    }
    assert listed[0].value("duration") == 250.0
    assert listed[0].value("lr") == listed[0].value("optimiser.peak_lr") == 0.001
    assert listed[0].value(METRIC) == 0.2
    assert listed[4].value(METRIC) is None


def test_a_run_in_training_is_listed_as_running(folder: Path) -> None:
    lock = Lock(folder / "n3")
    assert [run.value("state") for run in list_runs([folder / "n3"])] == ["running"]
    lock.release()
    assert not (folder / "n3" / LOCK).exists()
    assert [run.value("state") for run in list_runs([folder / "n3"])] == ["killed"]


def test_times_are_read_from_the_files(folder: Path) -> None:
    began, ended = (datetime(2025, 1, day, 12, tzinfo=UTC) for day in (2, 3))
    for path in (folder / "n1").iterdir():
        time = began if path.name == "experiment.yaml" else ended
        os.utime(path, (time.timestamp(), time.timestamp()))
    (one,) = list_runs([folder / "n1"])
    assert (one.value("started"), one.value("last")) == (began, ended)
    assert names(choose_runs(list_runs([folder]), ["last<2025-06-01"])) == ["n1"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("n_future>1", ["n2", "n3"]),
        ("n=1", ["n1", "other"]),
        ("n != 1", ["n2", "n3", "odd"]),
        ("state=killed", ["n3"]),
        ("state!=finished", ["n3", "odd"]),
        ("task=recall", ["other"]),
        ("lr=1e-3", ["n1"]),
        ("optimiser.peak_lr>=0.002", ["n2", "n3", "other"]),
        (f"{METRIC}<0.5", ["n1", "n2"]),
        ("value<=0.4", ["n1", "n2"]),
        ("size=4x64", ["n1", "n2", "n3", "other"]),
        ("objective.detached=false", ["n1", "n2", "n3", "other"]),
    ],
)
def test_conditions_compare_numbers_as_numbers(condition: str, expected: list[str], folder: Path) -> None:
    assert names(choose_runs(list_runs([folder]), [condition])) == expected


def test_listed_runs_meet_every_condition(folder: Path) -> None:
    assert names(choose_runs(list_runs([folder]), ["n>1", "state=finished"])) == ["n2"]
    assert names(choose_runs(list_runs([folder]), ["n>9", "lr>1"])) == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("seed", "'seed' is no condition"),
        ("=1", "'=1' is no condition"),
        ("n_futur=1", "no run has 'n_futur'; did you mean 'n_future'"),
        ("seed>a", "'a' is not a number"),
        ("seed=[1", "not YAML"),
    ],
)
def test_a_wrong_condition_is_named(condition: str, message: str, folder: Path) -> None:
    with pytest.raises(LabError, match=message):
        choose_runs(list_runs([folder]), [condition])


def test_runs_without_a_value_come_last_in_either_direction(folder: Path) -> None:
    listed = list_runs([folder])
    assert names(sort_runs(listed, METRIC)) == ["n1", "n2", "n3", "odd", "other"]
    assert names(sort_runs(listed, METRIC, descending=True)) == ["n3", "n2", "n1", "odd", "other"]
    assert names(sort_runs(listed, "seed")) == ["other", "n3", "n2", "n1", "odd"]
    assert names(sort_runs(listed, "task", descending=True))[0] == "other"


def test_folders_without_a_readable_run_are_rejected(folder: Path) -> None:
    with pytest.raises(LabError, match="gone: no such folder"):
        list_runs([folder / "gone"])
    with pytest.raises(LabError, match="holds no runs"):
        list_runs([Path(__file__).parent])
    with pytest.raises(LabError, match="not the record of a run"):
        list_runs([folder / "odd"])


def test_a_damaged_or_foreign_run_does_not_hide_the_others(folder: Path) -> None:
    (folder / "n1/metrics.csv").write_text("no table\n")
    text = (folder / "n2/experiment.yaml").read_text()
    (folder / "n2/experiment.yaml").write_text(text.replace("name: induction", "name: nowhere:Task"))
    record = json.loads((folder / "n3/run.json").read_text())
    (folder / "n3/run.json").write_text(json.dumps(record | {"wall_seconds": "long"}))
    states = {run.path.name: run.value("state") for run in list_runs([folder])}
    assert states == {"n1": "damaged", "n2": "damaged", "n3": "damaged", "odd": "damaged", "other": "finished"}
