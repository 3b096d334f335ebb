"""Run folders are read as frames, tables and networks; writing is atomic."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import lab
from lab import plots
from lab.errors import LabError
from lab.model import build
from lab.runs import open_runs, tables
from lab.runs.files import folder_atomic, write_atomic
from lab.runs.names import headline, reference_lines, shared_lines
from lab.runs.weights import save_weights
from lab.stats.conditions import conditions
from tests.helpers.runs import make_run

LOSS, ACCURACY = "loss/all/1", "accuracy/copy/1"


def test_a_frame_has_a_row_for_each_run_step_and_metric(tmp_path: Path) -> None:
    for n in (1, 2):
        experiment = lab.experiment("induction", {"n_future": n, "model.width": 32 * n})
        make_run(tmp_path / f"n{n}", experiment, {0: {LOSS: 3.5}, 10: {LOSS: 0.1 + 0.2}})
    frame = lab.frame(open_runs([tmp_path]))
    assert list(frame.columns) == [
        "run",
        "task",
        "n_future",
        "seed",
        "model.width",
        "parameters",
        "state",
        "step",
        "tokens",
        "scored_tokens",
        "sequences",
        "flops",
        "seconds",
        "metric",
        "value",
    ]
    assert len(frame) == 4
    last = frame[(frame["run"] == "n2") & (frame["step"] == 10)].iloc[0]
    assert (last["model.width"], last["tokens"], last["value"]) == (64, 10 * 32 * 64, 0.1 + 0.2)


def test_a_frame_has_the_cost_of_every_point(tmp_path: Path) -> None:
    experiment = lab.experiment("induction", n_future=2)
    run = make_run(tmp_path / "run", experiment, {0: {LOSS: 3.5}, 10: {LOSS: 3.0}, 20: {LOSS: 2.0}})
    tables.append(run.path / "timing.csv", tables.TIMING, [(0, "0.500", "0"), (10, "2.250", "9000")])
    frame = run.frame()
    assert frame["flops"].tolist() == [0, 10 * experiment.flops_per_step, 20 * experiment.flops_per_step]
    assert frame["seconds"].tolist()[:2] == [0.5, 2.25]
    assert frame["seconds"].isna().tolist() == [False, False, True], "killed between the two tables"
    (run.path / "timing.csv").write_text("step,minutes\n0,1\n")
    with pytest.raises(LabError, match=r"not a table of timing .*step,seconds"):
        run.frame()


def test_runs_that_differ_in_a_list_are_distinguished(tmp_path: Path) -> None:
    for name, weights in {"one": [1, 0.5], "two": [1, 2]}.items():
        experiment = lab.experiment("induction", {"objective.weights": weights}, n_future=2)
        make_run(tmp_path / name, experiment, {0: {LOSS: 3.5}})
    frame = lab.frame(open_runs([tmp_path]))
    assert frame["objective.weights"].tolist() == ["[1.0, 0.5]", "[1.0, 2.0]"]
    assert conditions(frame, ["objective.weights"]).frame["condition"].nunique() == 2


def test_a_frame_leaves_out_equal_settings_and_empty_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"), state="running")
    assert run.frame().empty
    assert {"n_future", "seed", "step", "tokens", "flops", "seconds", "metric", "value"} < set(run.frame().columns)
    assert not any("." in name for name in run.frame().columns)
    assert run.metrics() == []


def test_a_last_line_that_a_kill_truncated_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    tables.append_metrics(path, 0, 0, 0, {"a": 1.0, "b": 2.0})
    with path.open("a") as file:
        file.write("5,10,a,0.33")
    assert [row.metric for row in tables.read_metrics(path)] == ["a", "b"]


def test_a_table_of_an_older_version_can_be_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"))
    (run.path / "metrics.csv").write_text("step,tokens,metric,value\n0,0,loss/all/1,3.5\n5,10240,loss/all/1,2.5\n")
    assert [(row.step, row.tokens, row.value) for row in run.metrics()] == [(0, 0, 3.5), (5, 10240, 2.5)]
    assert run.frame()["scored_tokens"].isna().all()
    assert run.frame()["tokens"].tolist() == [0, 10240]


def test_metrics_after_a_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for step in (0, 5, 10):
        tables.append_metrics(path, step, step, step, {"a": float(step)})
    tables.keep_until(path, 5)
    assert [row.step for row in tables.read_metrics(path)] == [0, 5]
    tables.keep_until(path, -1)
    assert not path.exists()
    tables.keep_until(tmp_path / "gone.csv", 5)
    assert not (tmp_path / "gone.csv").exists()


def test_floats_are_restored_bit_for_bit(tmp_path: Path) -> None:
    values = {"a": 1 / 3, "b": 5e-324, "c": -1.7976931348623157e308}
    tables.append_metrics(tmp_path / "m.csv", 1, 2, 1, values)
    assert {row.metric: row.value for row in tables.read_metrics(tmp_path / "m.csv")} == values


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, "old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(LabError, match=r"file\.json: No space left on device"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file.json"]


def test_a_folder_appears_completely_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with folder_atomic(tmp_path / "new") as partial:
            (partial / "file").write_text("half")
            raise KeyError("inside")

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())


def test_runs_are_found_below_a_folder_once_they_exist(tmp_path: Path) -> None:
    experiment = lab.experiment("induction")
    for name in ("b/second", "a", ".c.partial"):
        make_run(tmp_path / name, experiment)
    assert [run.name for run in open_runs([tmp_path])] == ["a", "second"]
    assert [run.name for run in open_runs(str(tmp_path))] == ["a", "second"]
    assert [run.name for run in open_runs([tmp_path / "b" / "second"])] == ["second"]


def test_a_run_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="has no weights yet"):
        make_run(tmp_path / "run", lab.experiment("induction"), state="running").model()


def test_weights_that_do_not_fit_are_rejected(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"))
    save_weights(build(lab.experiment("induction", {"model.width": 32})), run.path / "model.safetensors")
    with pytest.raises(LabError, match="do not fit"):
        run.model()


def test_the_newest_checkpoint_is_the_one_with_most_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"), state="running")
    assert run.checkpoint() is None
    for name in ("checkpoint-00000900", "checkpoint-00001000", "checkpoint-x", ".checkpoint-00002000.partial"):
        (run.path / name).mkdir()
        (run.path / name / "state.json").touch()
    (run.path / "checkpoint-00003000").mkdir()
    assert run.checkpoint() == run.path / "checkpoint-00001000"


def test_reference_lines_are_chance_and_floor() -> None:
    experiment = lab.experiment("induction")
    assert headline(experiment) == ACCURACY
    assert reference_lines(experiment, ACCURACY) == {"chance": 1 / 32}
    assert reference_lines(experiment, "far:loss/copy/2") == {"floor": 0.0}
    assert reference_lines(experiment, "prefix_matching/trunk") == reference_lines(experiment, LOSS) == {}
    agreement = lab.experiment("agreement")
    plateau = {"key not resolved": pytest.approx(0.412, abs=5e-4)}
    assert reference_lines(agreement, "accuracy/case_first/1") == plateau, "a plateau takes the place of chance"
    assert reference_lines(agreement, "accuracy/verb/1") == {"chance": 1 / 16}


def test_keys_are_paths_below_the_folder_that_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 2):
        for seed in (0, 1):
            experiment = lab.experiment("induction", {"n_future": n, "seed": seed})
            make_run(tmp_path / f"runs/n{n}/seed{seed}", experiment, {0: {ACCURACY: 0.1}, 10: {ACCURACY: n / 8}})
    assert [run.key for run in open_runs([tmp_path / "runs"])] == ["n1/seed0", "n1/seed1", "n2/seed0", "n2/seed1"]
    table = plots.grid(lab.frame(open_runs([tmp_path / "runs"])), ACCURACY)[1]
    assert dict(zip(table["condition"], table["mean"], strict=True)) == {"n = 1": 0.125, "n = 2": 0.25}
    both = lab.frame(open_runs([tmp_path / "runs/n1", tmp_path / "runs/n2"]))
    assert both["run"].nunique() == 4
    assert set(both["run"]) == {"n1/seed0", "n1/seed1", "n2/seed0", "n2/seed1"}
    assert lab.Run(tmp_path / "runs/n1/seed0").frame()["run"].unique() == ["seed0"]


def test_a_copied_run_is_the_same_seed(tmp_path: Path) -> None:
    make_run(tmp_path / "seed0", lab.experiment("induction"), {0: {ACCURACY: 0.1}, 10: {ACCURACY: 0.5}})
    shutil.copytree(tmp_path / "seed0", tmp_path / "seed0 (copy)")
    table = plots.emergence(lab.frame(open_runs([tmp_path])), ACCURACY)[1]
    assert set(table["seeds"]) == {1}
    assert table.attrs["notes"] == ("same configuration and seed again, counted once: seed0 (copy) (as seed0)",)


def test_links_to_runs_are_followed_and_each_run_is_opened_once(tmp_path: Path) -> None:
    make_run(tmp_path / "all/a", lab.experiment("induction"))
    make_run(tmp_path / "all/b", lab.experiment("induction", seed=1))
    (tmp_path / "chosen").mkdir()
    for name in ("a", "b"):
        (tmp_path / "chosen" / f"my-{name}").symlink_to(tmp_path / "all" / name)
    (tmp_path / "chosen" / "round").symlink_to(tmp_path / "chosen")
    assert [run.key for run in open_runs([tmp_path / "chosen"])] == ["my-a", "my-b"]
    assert len(open_runs([tmp_path, tmp_path / "all", tmp_path / "all/a"])) == 2


def test_unreadable_runs_are_named_and_do_not_hide_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curve = {0: {ACCURACY: 0.1}}
    make_run(tmp_path / "good", lab.experiment("induction"), curve)
    make_run(tmp_path / "begun", lab.experiment("induction", seed=1), state="running")
    make_run(tmp_path / "gone", lab.experiment("induction", seed=2), curve).path.joinpath("metrics.csv").unlink()
    make_run(tmp_path / "cut", lab.experiment("induction", seed=3), curve).path.joinpath("metrics.csv").write_text("ste")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/run.json").write_text("{}")
    make_run(tmp_path / "foreign", lab.experiment("induction", seed=4), curve)
    text = (tmp_path / "foreign/experiment.yaml").read_text()
    (tmp_path / "foreign/experiment.yaml").write_text(text.replace("name: induction", "name: nowhere:Task"))
    runs = open_runs([tmp_path])
    assert [run.key for run in runs] == ["begun", "cut", "gone", "good"]
    frame = lab.frame(runs)
    assert set(frame["run"]) == {"good"}
    assert frame["value"].dtype == float
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for name, line in zip(
        ("foreign/experiment.yaml", "odd/run.json", "cut/metrics.csv", "gone/metrics.csv"), lines, strict=True
    ):
        assert line.startswith("lab: left out: ")
        assert name in line
    with pytest.raises(LabError, match=r"odd/run\.json"):
        open_runs([tmp_path / "odd"])
    with pytest.raises(LabError, match="nowhere: no such folder"):
        open_runs([tmp_path / "good", tmp_path / "nowhere"])
    with pytest.raises(LabError, match=r"gone/metrics\.csv: missing or empty"):
        lab.frame([lab.Run(tmp_path / "gone")])


@pytest.mark.parametrize(
    "entry", [{"wall_seconds": 10**400}, {"reached": ["a"]}, {"last_step": "9"}, {"versions": []}, {"state": None}], ids=str
)
def test_a_record_with_a_wrong_entry_is_named(entry: dict[str, Any], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"))
    (run.path / "run.json").write_text(json.dumps(run.record | entry))
    with pytest.raises(LabError, match=rf"run/run\.json: {next(iter(entry))} must be "):
        lab.Run(run.path)


def test_a_record_without_a_fingerprint_is_that_of_an_edited_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"), {0: {LOSS: 3.5}})
    (run.path / "run.json").write_text(json.dumps(run.record | {"experiment_sha256": "of another file"}))
    assert len(lab.Run(run.path).frame()) == 1


@pytest.mark.parametrize(
    "line", ["4,4,4,a\rb,1", f"4,4,4,{'a' * 200_000},1", "4,4,4,,1", f"{'9' * 400},4,4,a,1", f"4,{10**30},4,a,1"]
)
def test_a_wrong_line_of_a_table_is_named(line: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"), {0: {LOSS: 3.5}})
    with (run.path / "metrics.csv").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(LabError, match=r"metrics\.csv, line 3: not "):
        run.metrics()


def test_a_run_that_was_written_twice_is_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", lab.experiment("induction"), {0: {LOSS: 3.5}, 10: {LOSS: 3.0}})
    assert len(lab.frame([run, lab.Run(tmp_path / "run")])) == 2, "a run that is opened twice counts once"
    tables.append_metrics(run.path / "metrics.csv", 10, 1, 1, {LOSS: 2.0})
    with pytest.raises(LabError, match=r"metrics\.csv, line 4: loss/all/1 of step 10 stands there twice"):
        run.frame()


def test_reference_lines_are_those_of_all_runs() -> None:
    small, large = (lab.experiment("induction", {"task.vocabulary": size, "task.period": [4, 12]}) for size in (16, 32))
    assert shared_lines([large, large], ACCURACY) == {"chance": 1 / 32}
    assert shared_lines([small, large], ACCURACY) == {"chance 0.062": 1 / 16, "chance 0.031": 1 / 32}


def test_a_run_describes_itself(tmp_path: Path) -> None:
    curve = {0: {LOSS: 3.5, ACCURACY: 0.1}, 10: {ACCURACY: 0.25}}
    run = make_run(tmp_path / "<b>", lab.experiment("induction", {"n_future": 2, "seed": 3, "steps": 600}), curve)
    assert repr(run).startswith(f"<Run {run.path}: task induction, n 2, seed 3, state finished, model ")
    assert repr(run).endswith("accuracy/copy/1 0.250 at step 10/600>")
    assert "<th>state</th><td>finished</td>" in run._repr_html_()
    assert "&lt;b&gt;" in run._repr_html_()
    assert run.metric_names() == run._ipython_key_completions_() == [LOSS, ACCURACY]
    assert run[ACCURACY].to_dict() == {0: 0.1, 10: 0.25}
    with pytest.raises(LabError, match="has no metric 'accuracy/copi/1'; did you mean 'accuracy/copy/1'"):
        run["accuracy/copi/1"]
    (run.path / "metrics.csv").write_text("damaged")
    assert "state finished" in repr(run), "a description never fails"
