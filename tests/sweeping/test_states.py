"""The states of a sweep's runs follow from their processes and folders; reading them changes nothing."""

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.main import main
from lab.runs.files import read_json, write_json
from lab.runs.layout import RECORD
from lab.sweeping.results import collect
from lab.sweeping.spec.configurations import trial_experiments
from lab.sweeping.study.claims import claim
from lab.sweeping.study.journal import StorageLost
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import open_study
from lab.sweeping.workers import worker
from tests.helpers.runs import make_run
from tests.helpers.sweeps import SHORT, grid, run_worker, search, set_up_sweep

pytestmark = pytest.mark.process  # seconds each


def states(job: Job) -> dict[str, str]:
    return dict(collect(job).runs.set_index("run")["state"])


def stop_in_first_run(job: Job, patch: pytest.MonkeyPatch, before_end: Callable[[], object] = lambda: None) -> None:
    """Stop a worker within its first run, which leaves the folder as a kill does; `before_end` is called just before."""

    def end(*_: object) -> None:
        before_end()
        raise StorageLost

    with patch.context() as inside:
        inside.setattr(worker.Watch, "measured", end)
        with pytest.raises(StorageLost):
            run_worker(job)


def test_only_a_run_held_by_a_process_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = set_up_sweep(grid(SHORT, seeds=1), tmp_path)
    during: list[dict[str, str]] = []
    stop_in_first_run(job, monkeypatch, lambda: during.append(states(job)))
    assert during == [{"n1-seed0": "running", "n2-seed0": "waiting"}]
    assert states(job) == {"n1-seed0": "killed", "n2-seed0": "waiting"}
    record = tmp_path / "n1-seed0" / RECORD
    write_json(record, read_json(record) | {"state": "stopped"})
    assert states(job) == {"n1-seed0": "stopped", "n2-seed0": "waiting"}
    assert collect(job).sentence() == "2 runs of 2 configurations: 1 stopped, 1 waiting"
    run_worker(job)
    assert states(job) == {"n1-seed0": "finished", "n2-seed0": "finished"}


def test_a_claimed_trial_is_running_and_a_released_one_waits(tmp_path: Path) -> None:
    job = set_up_sweep(grid(seeds=1), tmp_path)
    claimed = claim(job, open_study(job))
    assert claimed is not None
    assert states(job) == {"n1-seed0": "running", "n2-seed0": "waiting"}
    claimed.lease.release()
    assert states(job) == {"n1-seed0": "waiting", "n2-seed0": "waiting"}


def test_a_finished_run_counts_in_a_failed_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second seed of a search's trial fails: the first is a finished run, and the configuration is incomplete."""
    usual = worker.train

    def train(experiment: Any, path: Path, **options: Any) -> Any:
        if experiment.seed == 1:
            raise RuntimeError("lost")
        return usual(experiment, path, **options)

    monkeypatch.setattr(worker, "train", train)
    job = set_up_sweep(search(SHORT, seeds=2, budget={"trials": 1}), tmp_path)
    run_worker(job)
    found = collect(job)
    assert states(job) == {"trial0000-seed0": "finished", "trial0000-seed1": "failed"}
    (row,) = found.configurations().to_dict("records")
    assert (row["seeds"], row["others"]) == ("1 of 2", "1 failed")
    assert found.missing() == ["trial0000-seed1: failed: RuntimeError: lost"]


def test_a_damaged_run_is_named_and_does_not_hide_others(tmp_path: Path) -> None:
    job = set_up_sweep(search(SHORT, budget={"trials": 2}), tmp_path)
    run_worker(job)
    (tmp_path / "trial0000-seed0/metrics.csv").write_text("nonsense\n")
    assert states(job) == {"trial0000-seed0": "damaged", "trial0001-seed0": "finished"}
    (line,) = collect(job).missing()
    assert "trial0000-seed0/metrics.csv: not a table of metrics" in line


@pytest.mark.parametrize(("name", "content"), [("run.json", "[]"), ("run.json", '{"for'), ("experiment.yaml", "task: [a")])
def test_a_damaged_run_stops_no_other_and_no_command(
    name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(grid(SHORT)))
    job = set_up_sweep(grid(SHORT), Path("out"))
    make_run(Path("out/n1-seed0"), trial_experiments(job.sweep, {"n_future": 1, "seed": 0})[0], state="stopped")
    Path("out/n1-seed0", name).write_text(content)
    run_worker(job)  # the trial fails, and the others go on
    Path("out/n2-seed0", name).write_text(content)
    for command in (["sweep", "show", "s.yaml", "--out", "out"], ["watch", "out"], ["report", "out", "-o", "x.md"]):
        assert main(command) == 0
        text = capsys.readouterr().out if command[0] != "report" else Path("x.md").read_text()
        for run in ("n1-seed0", "n2-seed0"):
            assert f"out/{run}/{name}" in text, command
    assert states(job) == {"n1-seed0": "damaged", "n2-seed0": "damaged", "n1-seed1": "finished", "n2-seed1": "finished"}
    assert main(["sweep", "s.yaml", "--out", "out"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "lab: 2 of 4 runs damaged"


def stat_files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]}


def record_writes(patch: pytest.MonkeyPatch) -> list[Any]:
    """Record the files that are opened for writing from now on."""
    found: list[Any] = []
    usual_open, usual_os_open = builtins.open, os.open

    def open_(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if set(mode) & set("wax+"):
            found.append(file)
        return usual_open(file, mode, *arguments, **named)

    def os_open(file: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            found.append(file)
        return usual_os_open(file, flags, *arguments, **named)

    patch.setattr(builtins, "open", open_)
    patch.setattr(io, "open", open_)
    patch.setattr(os, "open", os_open)
    return found


def test_showing_a_sweep_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Showing repairs nothing either: the sweep was killed while it wrote its journal."""
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(grid(seeds=1)))
    job = set_up_sweep(grid(seeds=1), Path("out"))
    stop_in_first_run(job, monkeypatch)
    with job.place.journal.open("a") as file:
        file.write('{"op_code": 4, "wor')
    before = stat_files(tmp_path)
    with monkeypatch.context() as patch:
        found = record_writes(patch)
        assert main(["sweep", "show", "s.yaml", "--out", "out"]) == 0
        found = [file for file in found if str(file) != os.devnull]
    assert "2 runs of 2 configurations: 1 killed, 1 waiting" in capsys.readouterr().out
    assert found == []
    assert stat_files(tmp_path) == before


@pytest.mark.parametrize("line", ["nonsense", "5", "{}", '{"op_code": 4}'])
def test_a_damaged_journal_is_named_with_its_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(grid(seeds=1)))
    job = set_up_sweep(grid(seeds=1), Path("out"))
    lines = job.place.journal.read_text().splitlines()
    job.place.journal.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    for command in (["sweep", "show"], ["sweep"]):
        assert main([*command, "s.yaml", "--out", "out"]) == 2
        out, err = capsys.readouterr()
        assert (out, err) == ("", "lab: out/study.journal, line 2: damaged: not an entry of a journal\n")
