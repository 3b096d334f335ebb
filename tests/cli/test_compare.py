"""`lab compare`: what it prints and writes, and what it rejects in one line without writing anything."""

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab.cli.main import main
from tests.helpers.rejection import Wrong, assert_rejected, row
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"
SUFFIXES = ("txt", "md", "tex", "csv", "json")


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write runs of two widths with n = 1 and 2, five seeds each, and return their folder."""
    folder = tmp_path_factory.mktemp("compare")
    for n in (1, 2):
        for width in (32, 48):
            for seed in range(5):
                experiment = lab.experiment("induction", {"steps": 400, "seed": seed, "n_future": n, "width": width})
                curve = {step: {METRIC: step / 400 * (0.6 + 0.1 * n + 0.01 * seed)} for step in range(0, 401, 80)}
                make_run(folder / f"n{n}-width{width}-seed{seed}", experiment, curve)
    return folder


@pytest.fixture(autouse=True)
def runs(finished_runs: Path) -> None:
    """Copy the runs to the folder of the test."""
    shutil.copytree(finished_runs, Path("runs"))


def test_conditions_are_compared_within_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs", "--by", "n-future", "--within", "width"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lab compare: accuracy on the copied segment (next token), last evaluation of each run"
    assert [line.split()[:6] for line in lines[3:7]] == [
        ["width", "=", width, "n", "=", n] for width in ("32", "48") for n in ("1", "2")
    ]
    assert "+0.100 [0.100, 0.100]" in lines[4]
    assert main(["compare", "runs", "--within", "width", "--at", "onset", "--baseline", "2"]) == 0
    assert "against n = 2" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_is_written_in_the_format_of_its_suffix(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", "runs", "--within", "width", "-o", f"t.{suffix}"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"t.{suffix}"
    written = Path(f"t.{suffix}").read_text()
    assert main([*command, "--format", suffix]) == 0, "our own file is replaced"
    assert capsys.readouterr().out == f"{written}t.{suffix}\n"
    Path(f"t.{suffix}").write_text("mine")
    assert main(command) == 2
    assert capsys.readouterr().err == f"lab: t.{suffix}: exists, and no such command wrote it; choose another --out, " + (
        "or --force replaces it\n"
    )
    assert main([*command, "--force"]) == 0
    assert Path(f"t.{suffix}").read_text() == written


def test_a_saved_frame_gives_the_same_table_as_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    lab.frame(lab.open_runs("runs")).to_csv("frame.csv", index=False)
    assert main(["compare", "frame.csv", "--within", "width"]) == 0
    saved = capsys.readouterr().out
    assert main(["compare", "runs", "--within", "width"]) == 0
    assert capsys.readouterr().out == saved


def test_an_unreadable_run_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/odd").mkdir()
    Path("runs/odd/run.json").write_text("{}")
    killed = Path("runs/n2-width32-seed4/run.json")
    killed.write_text(json.dumps(json.loads(killed.read_text()) | {"state": "running"}))
    foreign = Path("runs/n2-width32-seed3/experiment.yaml")
    foreign.write_text(foreign.read_text().replace("name: induction", "name: nowhere:Task"))
    assert main(["compare", "runs", "--within", "width", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert pd.read_csv(io.StringIO(out))["runs"].tolist() == [5, 3, 5, 5]
    lines = err.splitlines()
    assert len(lines) == 4
    assert "runs/n2-width32-seed3/experiment.yaml" in lines[0]
    assert lines[1] == "lab: left out: runs/odd/run.json: not the record of a run"
    assert lines[2] == "lab: 1 of 19 runs left out: n2-width32-seed4 (killed at step 400)"
    assert lines[3] == "lab: 2 runs without a partner of the same seed: in no difference"


WRONG = [
    row("no runs", "compare", "the following arguments are required: runs"),
    row("no such folder", "compare gone", "gone: no such folder"),
    row("two settings vary", "compare runs", "the runs differ in n_future, model.width"),
    row("pooled widths", "compare runs --by n_future", "differ in model.width and not in the seed alone"),
    row("unknown setting", "compare runs --by n_futur", "did you mean 'n_future'"),
    row("seeds", "compare runs --by seed", "seed is no setting to compare"),
    row("unknown metric", "compare runs --metric accuracy/cpy/1", "did you mean 'accuracy/copy/1'"),
    row("unknown moment", "compare runs --at start", "at must be end, best, onset"),
    row("unknown baseline", "compare runs --within width --baseline 9", "no condition is the baseline '9'"),
    row("unknown format", "compare runs --format xls", "invalid choice: 'xls'"),
    row("unknown suffix", "compare runs --within width -o t.xls", "t.xls: the file must be a .txt"),
    row("within a run", "compare runs --within width -o runs/n1-width32-seed0/t.md", "lies in the run"),
    row("no folder for the output", "compare runs --within width -o gone/t.md", "gone: no such folder"),
    row("a frame and runs", "compare runs frame.csv", "frame.csv is a frame: give it alone"),
    row("a frame that is gone", "compare frame.csv", "frame.csv: no such file"),
    row("option given twice", "compare runs --by lr --by width", "--by is given twice"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_rejected_in_one_line(wrong: Wrong, capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected(wrong.arguments, wrong.expected, capsys)


def test_the_baseline_is_parsed_as_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    for lr in ("0.001", "0.002"):
        for seed in (0, 1):
            experiment = lab.experiment("induction", {"seed": seed, "lr": float(lr)})
            make_run(Path(f"rates/lr{lr}-seed{seed}"), experiment, {0: {METRIC: 0.5}})
    assert main(["compare", "rates", "--by", "lr", "--baseline", "2e-3"]) == 0
    assert "Difference: from peak lr = 0.002" in capsys.readouterr().out
