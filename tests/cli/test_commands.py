"""The table of commands, their help, and the commands that train and show runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from lab.cli.commands import COMMANDS, RENAMED, find_command
from lab.cli.main import main
from lab.cli.settings import GROUPS
from lab.config.files import setting_names
from lab.config.overview import defaults_of
from lab.inspection.instruments import INSTRUMENTS
from lab.plots import FIGURES
from lab.reproduce.demo import plan_sweep
from lab.reproduce.demo_cases import CASES
from lab.sweeping.spec.configurations import grid_experiments

pytestmark = pytest.mark.process

TINY = [
    *("--width", "8", "--layers", "3", "--n-heads", "2", "--steps", "6", "--batch-size", "4", "--schedule.warmup-steps", "1"),
    *("--evaluation.every", "2", "--evaluation.examples", "4"),
]


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [line.split()[0] for line in help_of("", capsys).splitlines() if line.startswith("  ") and line.split()]
    assert {command for command in COMMANDS if " " not in command} <= set(listed)


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(f"plot {name}" for name in FIGURES), *(f"inspect {name}" for name in INSTRUMENTS)]
)
def test_every_help_has_a_usage_and_two_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    usage, _, examples = help_of(command, capsys).partition("examples:\n")
    assert usage.startswith(f"usage: lab {command}")
    assert len(re.findall(rf"^  lab {command}\b", examples, re.MULTILINE)) >= 2


def test_the_help_of_train_has_every_setting_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of("train star", capsys)
    headings = ["task star:", *(f"{name}:" for name in GROUPS), "run:"]
    assert [line for line in text.splitlines() if line in headings] == headings
    facts = defaults_of(lab.experiment("star"))
    words = " ".join(text.split())
    for name in setting_names():
        if name != "task":
            described = words.partition(f"--{name.replace('_', '-')} VALUE ")[2].partition(" VALUE ")[0]
            assert f"default {facts[name]})" in described, name


def test_the_help_of_a_tasks_command_has_the_tasks_settings(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(help_of("tasks show star", capsys).split())
    assert "task star: " in words
    assert "--degree VALUE Number of arms (at least 2; default 2)" in words


@pytest.mark.parametrize("earlier", RENAMED)
def test_an_earlier_name_of_a_command_names_the_new_one(earlier: str) -> None:
    assert RENAMED[earlier] in COMMANDS
    with pytest.raises(lab.LabError, match=f"is now called {RENAMED[earlier]}"):
        find_command(earlier.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["help"], "usage: lab COMMAND"),
        (["help", "train"], "--lr, --optimiser.peak-lr VALUE"),
        (["help", "tasks", "show"], "usage: lab tasks show TASK"),
        (["train", "star", "--help"], "--task.degree VALUE"),
        (["tasks", "star", "--rows", "1"], "star: find the path"),
        (["tasks", "tasks.star:Star", "--rows", "1"], "star: find the path"),
    ],
    ids=str,
)
def test_help_and_tasks_accept_both_spellings(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert expected in capsys.readouterr().out


def test_every_output_has_its_short_option(capsys: pytest.CaptureFixture[str]) -> None:
    helps = [help_of(command, capsys) for command in (*COMMANDS, "sweep show")]
    options = [option for text in helps for option in re.findall(r"^  (.*--out) [A-Z]", text, re.MULTILINE)]
    assert set(options) == {"-o, --out"}


def test_the_short_option_names_the_runs_folder() -> None:
    assert main(["train", "induction", *TINY, "-o", "runs/first"]) == 0
    assert lab.Run("runs/first").state == "finished"


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lab 0.")


def test_tasks_are_listed_and_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    assert {"induction", "stories"} <= set(capsys.readouterr().out.split())
    assert (
        main(["tasks", "show", "induction", "--rows", "2", "--vocabulary", "12", "--task.period", "[3,3]", "--length", "9"])
        == 0
    )
    out = capsys.readouterr().out
    assert out.count("[new] ") == out.count("[boundary] ") == out.count("[copy] ") == 2
    assert main(["tasks", "show", "stories", "--split", "test", "--rows", "1"]) == 0
    assert "[second_again] " in capsys.readouterr().out


@pytest.mark.parametrize("settings", [["--task.name", "star", "--base", "4"], ["--task.task", "star", "--task.base", "4"]])
def test_a_task_within_a_task_is_set_by_its_dotted_name(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", "spelled", "--rows", "1", *settings]) == 0
    assert "[turn/1] " in capsys.readouterr().out
    assert main(["train", "spelled", "--print-config", "--task.task.vocabulary", "28"]) == 0
    assert "vocabulary: 28" in capsys.readouterr().out


def test_a_printed_experiment_can_be_run_from_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "induction", *TINY, "--n-future", "2", "--print-config"]) == 0
    Path("e.yaml").write_text(capsys.readouterr().out)
    assert lab.load("e.yaml").n_future == 2
    assert not Path("runs").exists()
    assert main(["train", "--config", "e.yaml", "--seed", "7", "--out", "runs/x"]) == 0
    assert lab.Run("runs/x").experiment.seed == 7


def test_training_prints_its_evaluations_and_the_runs_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "induction", *TINY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == ["step 0/6", "step 2/6", "step 4/6", "step 6/6"]
    assert all("nats" in line and "accuracy/copy/1" in line for line in lines[:-1])
    assert "s left" in lines[1]
    assert "sequences/s" in lines[1]
    (path,) = Path("runs").iterdir()
    assert lines[-1].startswith(f"{path}: accuracy/copy/1 ")


def test_runs_are_listed_and_plotted(capsys: pytest.CaptureFixture[str]) -> None:
    for n in ("1", "2"):
        assert main(["train", "induction", *TINY, "--n-future", n, "--out", f"runs/n{n}"]) == 0
    capsys.readouterr()
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("n1", "n2", "6/6", "finished", "accuracy/copy/1"))
    assert len(out.splitlines()) == 3, "a run is one line without a terminal"
    for figure, runs, suffix in (("emergence", "runs", "svg"), ("induction", "runs", "png"), ("heatmap", "runs/n2", "png")):
        assert main(["plot", figure, runs, "-o", f"{figure}.{suffix}"]) == 0
        assert capsys.readouterr().out.split() == [f"{figure}.{suffix}", f"{figure}.csv"]


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m lab tasks show induction --rows 200 | head -1"  # more than a pipe holds
    answer = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert answer.stderr == ""


def test_the_demo_trains_resumes_and_writes_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["demo", "--out", "d", "--seeds", "2", "--workers", "1", *TINY]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "d/agreement-emergence.png" in out
    assert "n = 2" in out
    page = Path("d/index.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert "http" not in page.replace("http-equiv", "")
    names = {f"{task}/n{n}-seed{seed}" for task in CASES for n in (1, 2) for seed in (0, 1)}
    assert {path.relative_to("d/runs").as_posix() for path in Path("d/runs").glob("*/*")} == names
    assert all(Path(f"d/{task}-emergence.csv").is_file() for task in CASES)
    before = Path("d/runs/induction/n1-seed0/run.json").read_bytes()
    assert main(words) == 0, "finished runs are not trained again"
    assert Path("d/runs/induction/n1-seed0/run.json").read_bytes() == before


def test_a_demo_over_other_runs_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "induction", *TINY, "--out", "d/runs/induction/n1-seed0"]) == 0
    capsys.readouterr()
    assert main(["demo", "--tasks", "induction", "--out", "d", "--seeds", "1"]) == 2
    assert "holds a run of another experiment" in capsys.readouterr().err


@pytest.mark.parametrize("task", CASES)
def test_conditions_of_the_demo_are_paired(task: str) -> None:
    experiments = grid_experiments(plan_sweep(task, (1, 2), 3))
    assert list(experiments)[:2] == ["n1-seed0", "n2-seed0"]
    for seed in range(3):
        one, two = experiments[f"n1-seed{seed}"], experiments[f"n2-seed{seed}"]
        assert lab.override(one, {"n_future": 2}) == two


def test_seeds_report_finished_and_diverged_runs(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "induction", *TINY, "--out", "runs"]
    assert main([*command, "--seeds", "0:1"]) == 0
    record = Path("runs/seed0/run.json")
    record.write_text(record.read_text().replace('"state": "finished"', '"state": "diverged", "diverged_step": 3'))
    capsys.readouterr()
    assert main([*command, "--seeds", "0:2"]) == 1
    out, err = capsys.readouterr()
    assert "runs/seed1: accuracy/copy/1" in out
    assert "runs/seed0: accuracy" not in out
    assert err == "lab: runs/seed0 diverged at step 3: a loss or gradient is not finite\n"
