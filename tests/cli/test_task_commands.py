"""The commands on a task's data print and write what the calls return."""

import csv
import json
from pathlib import Path

import pytest

import lab
import tasks
from lab.cli.arguments import parse_task
from lab.cli.main import main
from lab.cli.tasks.draw import cells_of
from lab.cli.tasks.inspect import format_count
from lab.errors import LabError
from lab.plots.gallery import picture, png
from tasks.export import export_lines
from tests.helpers.tiny import tiny_options

pytestmark = pytest.mark.process

STAR = ["--degree", "2", "--arm", "3", "--nodes", "10"]
ONE_STEP = {"steps": 1, "schedule__warmup_steps": 0}


def test_an_export_is_printed_or_written(capsys: pytest.CaptureFixture[str]) -> None:
    expected = list(export_lines(tasks.get("star", degree=2, arm=3, nodes=10), "validation", 5, seed=4))
    words = ["tasks", "export", "star", *STAR, "--split", "validation", "--size", "5", "--seed", "4"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == expected
    assert main([*words, "-o", "x.jsonl"]) == 0
    assert capsys.readouterr().out == "x.jsonl: 5 instances of star\n"
    assert Path("x.jsonl").read_text().splitlines() == expected


def test_a_certificate_is_printed_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "inspect", "star", *STAR, "--drawn", "300", "-o", "star.json"]) == 0
    out = capsys.readouterr().out
    for words in ("30,240 (exact)", "0 instances, of 300 rows drawn of each", "12 to 12", "million tokens/s", "star.json"):
        assert words in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(("turn", "all"))}
    assert rows == {
        "turn": ["0.0833", "0.5", "0", "-", "-", "-"],
        "all": ["1.000", "1.000", "(~26,460)", "1.000", "(~1,890)", "1.000", "(~1,890)"],
    }
    written = json.loads(Path("star.json").read_text())
    assert written["instances"] == 30_240
    assert written["overlap"]["train and test"] == 0
    assert written["roles"]["turn"] == {"share": pytest.approx(1 / 12), "floor": 0.0, "chance": 0.5, "optimum": None}
    assert tasks.from_description(written["task"]) == tasks.get("star", degree=2, arm=3, nodes=10)


def test_counts_are_formatted_for_people() -> None:
    numbers = (7, 30_240, 10**9 - 1, 5 * 10**9 + 10**8, 3 * 10**400)
    assert [format_count(n) for n in numbers] == ["7", "30,240", "999,999,999", "5.10 x 10^9", "3.00 x 10^400"]


def test_instances_are_drawn_as_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "draw", "star", *STAR, "--rows", "2", "-o", "star.png"]) == 0
    assert capsys.readouterr().out == "star.png\n"
    task = tasks.get("star", degree=2, arm=3, nodes=10)
    assert Path("star.png").read_bytes() == png(picture(*cells_of(task, 2)))
    cells, roles, title = cells_of(task, 2)
    assert [(cell.word, task.roles[cell.role]) for cell in cells[12:]] == task.show(task.batch(0, 0, 2), 1)
    assert [cell.answer for cell in cells] == 2 * (10 * [False] + 2 * [True])
    assert [role.name for role in roles] == ["prompt", "turn", "follow"]
    assert title.startswith("star: ")


def test_a_picture_shows_as_many_instances_as_fit() -> None:
    for name, rows in (("modular", 4), ("maze", 2), ("stories", 1)):
        assert max(cell.row for cell in cells_of(tasks.get(name))[0]) == rows - 1


def test_an_exported_set_measures_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [word.replace("--", "--task.") for word in STAR]
    assert main(["train", "star", *settings, *tiny_options("star", **ONE_STEP), "--out", "run"]) == 0
    assert main(["tasks", "export", "star", *STAR, "--size", "20", "-o", "x.jsonl"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--data", "x.jsonl", "-o", "x.csv"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "x.csv"
    shown = {line.split()[0]: float(line.split()[1]) for line in out[1:-1]}
    rows = list(csv.DictReader(Path("x.csv").read_text().splitlines()))
    assert {row["metric"]: round(float(row["value"]), 4) for row in rows} == shown
    frame = lab.evaluate("run", "x.jsonl")
    assert [float(row["value"]) for row in rows] == frame["value"].tolist()
    assert {"loss/turn/1", "accuracy/turn/1", "exact", "first"} <= set(shown)


@pytest.mark.parametrize("name", tasks.names())
def test_a_test_set_of_every_task_fits_the_run_that_train_makes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the documented example with a small model; neither command is given a setting of the task."""
    small = "--width 8 --layers 2 --n-heads 2 --batch-size 2 --evaluation.examples 2 --evaluation.measures.induction 0"
    one_step = "--steps 1 --schedule.warmup-steps 0"
    assert main(["train", name, *small.split(), *one_step.split(), "--out", "run"]) == 0
    assert main(["tasks", "export", name, "--size", "4", "-o", "test.jsonl"]) == 0
    assert main(["evaluate", "run", "--data", "test.jsonl"]) == 0
    assert "loss/all/1" in capsys.readouterr().out
    assert parse_task(name, []) == tasks.get(name) == lab.experiment(name).task


def test_unsuitable_lines_name_both_values_and_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--task.degree", "3", "--task.nodes", "11", *tiny_options("star", **ONE_STEP)]
    assert main(["train", "star", *words, "--out", "run"]) == 0
    assert main(["tasks", "export", "star", "--arm", "5", "--size", "2", "-o", "x.jsonl"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--data", "x.jsonl"]) == 2
    error = capsys.readouterr().err
    assert "x.jsonl, line 1: settings: length must be 16, as the model's, not 22" in error
    assert "(degree is 2, the model's 3; arm is 5, the model's 3; nodes is 12, the model's 11)" in error
    command = error.partition("`lab ")[2].partition("`")[0]
    assert command == "tasks export star --degree 3 --nodes 11"
    assert main([*command.split(), "--size", "2", "-o", "y.jsonl"]) == 0
    assert main(["evaluate", "run", "--data", "y.jsonl"]) == 0


def test_the_settings_of_shown_instances_are_stated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", "star", "--rows", "1"]) == 0
    assert "(the defaults, as of lab train)" in " ".join(capsys.readouterr().out.split())
    assert main(["tasks", "show", "star", "--rows", "1", "--nodes", "20"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "degree 2, arm 3, nodes 20, " in out
    assert "(changed: nodes)" in out


def test_settings_of_an_inner_task_change_its_defaults() -> None:
    inner = parse_task("spelled", ["--task.task.length", "50"]).settings["task"]
    assert inner == tasks.get("induction", length=50).description


@pytest.mark.parametrize("setting", ["name", "task", "task.name"])
def test_a_task_that_is_given_as_a_setting_is_rejected(setting: str) -> None:
    with pytest.raises(LabError, match="the task is named first"):
        parse_task("star", [f"--{setting}", "markov"])


def test_the_scale_of_the_paper_sets_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "polynomial", "--scale", "paper", "--n-future", "4", "--print-config"]) == 0
    Path("e.yaml").write_text(capsys.readouterr().out)
    assert lab.load("e.yaml") == lab.experiment("polynomial", scale="paper", n_future=4)
