"""`lab runs`, `lab runs rm` and `lab runs mv`: what they print, what they change, and what they reject."""

import io
import json
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import lab
from lab.cli.main import main
from lab.cli.table import print_frame
from lab.runs.lock import Lock
from tests.helpers.rejection import Wrong, assert_rejected, row
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture(autouse=True)
def runs() -> None:
    """Write three runs of induction, of which one was killed with kill -9, and one that cannot be read."""
    for n in (1, 2, 3):
        experiment = lab.experiment("induction", {"n_future": n, "steps": 400})
        state = "running" if n == 3 else "finished"
        make_run(Path(f"runs/n{n}"), experiment, {0: {METRIC: 0.1}, 200: {METRIC: 0.2 * n}}, state=state)
    Path("runs/odd").mkdir()
    Path("runs/odd/run.json").write_text("{}")


class Terminal(io.StringIO):
    """A terminal, as standard output or as input."""

    def isatty(self) -> bool:
        return True


def test_output_to_a_pipe_has_one_line_for_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["run", "task", "n", "size", "seed", "step", METRIC, "duration", "last", "state"]
    assert lines[1][:7] == ["runs/n1", "induction", "1", "4x64", "0", "200/400", "0.200"]
    assert lines[1][7:9] == ["4.2", "min"]
    assert [line[-1] for line in lines[1:]] == ["finished", "finished", "killed", "damaged"]
    assert err == "lab: runs/odd/run.json: not the record of a run\n"


@pytest.mark.parametrize("width", [80, 100])
def test_the_default_columns_fit_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    long = lab.experiment("induction", {"seed": 1})
    make_run(Path("runs/a-name-of-24-characters-"), long, {0: {METRIC: 0.5}})
    assert main(["runs", "runs"]) == 0
    text = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert {"state", "last", "seed"} <= set(text.split())
    assert ("duration" in text) == (width >= 100)
    shown = [line for line in lines if line.startswith("runs/n")]
    assert len(shown) == 3, "a short name is on one line"


def test_metrics_of_several_tasks_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("runs/other"), lab.experiment("agreement"), {0: {"accuracy/case_first/1": 0.25}})
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert out.split("\n")[0].split()[6:8] == ["metric", "value"]
    assert "accuracy/case_first/1  0.250" in out


def test_names_that_look_like_markup_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    curve = {0: {METRIC: 0.1, "[red]x/[/]": 0.5}}
    run = make_run(Path("odd/[bold]a[/] :smile:"), lab.experiment("induction"), curve, state="failed")
    (run.path / "run.json").write_text(json.dumps(run.record | {"error": r"no [/] \[a"}))
    assert main(["runs", "odd", "--columns", "run,[red]x/[/],error"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "[red]x/[/]", "error"]
    assert re.split(" {2,}", line) == ["odd/[bold]a[/] :smile:", "0.500", r"no [/] \[a"]


def test_a_frame_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["[/]", "[red]x", ":smile:"]
    print_frame(Console(width=80), pd.DataFrame([words], columns=words[::-1]))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [words[::-1], words]


def test_runs_are_chosen_sorted_and_shown_by_column(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["runs", "--where", "n_future>1", "--sort", "-value", "--columns", f"run,lr,{METRIC}"]
    assert main(words) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["run", "lr", METRIC], ["runs/n3", "0.003", "0.600"], ["runs/n2", "0.003", "0.400"]]
    assert main(["runs", "--where", "state=killed", "--where", "n=3", "--columns", "run"]) == 0
    assert capsys.readouterr().out.split() == ["run", "runs/n3"]


def test_json_has_numbers_and_times_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json", "--where", "n=1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    last = row.pop("last")
    assert datetime.fromisoformat(last).timestamp() == pytest.approx(lab.Run("runs/n1").last_written.timestamp(), abs=1)
    assert datetime.fromisoformat(row.pop("started")) <= datetime.fromisoformat(last)
    assert row == {
        "run": "runs/n1",
        "task": "induction",
        "n": 1,
        "size": "4x64",
        "seed": 0,
        "step": 200,
        "steps": 400,
        "metric": METRIC,
        "value": 0.2,
        "duration": 250.0,
        "state": "finished",
        "error": None,
    }
    assert main(["runs", "--json", "--columns", "run,lr", "--where", "state=damaged"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"run": "runs/odd", "lr": None}]


WRONG = [
    row("unknown column", "runs --columns run,sede", "no run has 'sede'; did you mean 'seed'"),
    row("unknown order", "runs --sort -valu", "no run has 'valu'; did you mean 'value'"),
    row("no condition", "runs --where seed", "'seed' is no condition"),
    row("two equals signs", "runs --where n==1", "'n==1' is no condition"),
    row("order of true and false", "runs --where objective.detached<low", "true and false have no order"),
    row("unknown setting", "runs --where n_futur=1", "did you mean 'n_future'"),
    row("text above a number", "runs --where seed>low", "'low' is not a number"),
    row("unknown option", "runs --filter x", "unrecognized arguments: --filter"),
    row("no folder", "runs gone", "gone: no such folder"),
    row("nothing to remove", "runs rm", "the following arguments are required: RUN"),
    row("nobody to ask", "runs rm runs/n1", "nobody can be asked: give --yes"),
    row("removal of no run", "runs rm runs --yes", "runs: not a run (but holds some"),
    row("removal of nothing", "runs rm runs/n1 gone --yes", "gone: no such folder"),
    row("move of no run", "runs mv runs new", "runs: not a run"),
    row("move onto a run", "runs mv runs/n1 runs/n2", "runs/n2: exists already"),
    row("move to nowhere", "runs mv runs/n1 gone/new", "gone: no such folder"),
    row("move without a target", "runs mv runs/n1", "the following arguments are required: TARGET"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_rejected_in_one_line(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    shutil.rmtree("runs/odd")  # which would be named in a line of its own
    assert_rejected(wrong.arguments, wrong.expected, capsys)


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 3), ("\n", 3), ("", 3)], ids=repr)
def test_a_run_is_removed_after_a_yes(
    answer: str, left: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["runs", "rm", "runs/n1", "runs/odd"]) == 0
    out = capsys.readouterr().out
    assert "runs/n1  finished, step 200/400\nruns/odd  damaged" in out
    assert ("removed runs/n1\n" in out) == (left == 2)
    assert len(list(Path("runs").glob("n?"))) == left
    assert Path("runs/odd").exists() == (left == 3)


def test_removing_a_run_of_a_sweep_names_the_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/sweep.yaml").write_text("name: runs\n")
    assert main(["runs", "mv", "runs/n1", "new"]) == 2
    assert "is a run of the sweep in" in capsys.readouterr().err
    assert main(["runs", "rm", "runs/n1", "--yes"]) == 0
    assert capsys.readouterr().out == f"removed runs/n1 of the sweep in {Path('runs').absolute()}, which counts it as missing\n"


def test_a_run_in_training_is_not_removed_or_moved(capsys: pytest.CaptureFixture[str]) -> None:
    lock = Lock(Path("runs/n3"))
    assert main(["runs", "--where", "state=running", "--columns", "run"]) == 0
    assert capsys.readouterr().out.split() == ["run", "runs/n3"]
    for words in (["rm", "runs/n1", "runs/n3", "--yes"], ["mv", "runs/n3", "new"]):
        assert main(["runs", *words]) == 2
        assert capsys.readouterr().err == "lab: runs/n3: another process trains this run\n"
    lock.release()
    assert main(["runs", "mv", "runs/n3", "new"]) == 0
    assert capsys.readouterr().out == "new\n"
    assert lab.Run("new").state == "killed"
    assert Path("runs/n1").is_dir()
