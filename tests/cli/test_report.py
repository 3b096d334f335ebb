"""The command `lab report`: one page about runs or a sweep, and one line for wrong input."""

import shutil
from pathlib import Path

import pytest

import lab
from lab.cli.main import main
from tests.helpers.rejection import Wrong, assert_rejected, row
from tests.helpers.runs import make_run
from tests.helpers.sweeps import BASE, SHORT, grid, train_sweep


@pytest.fixture(autouse=True)
def runs() -> None:
    """Write two runs that differ in width, and files that are not ours."""
    for width in (8, 16):
        experiment = lab.experiment("induction", {**BASE, "model.width": width})
        make_run(Path(f"runs/w{width}"), experiment, {step: {"accuracy/copy/1": 0.1} for step in (0, 6, 12)})
    for name in ("mine.html", "mine.md"):
        Path(name).write_text("<!doctype html>")
    Path("no-sweep.yaml").write_text("base: 3\n")
    Path("never.yaml").write_text("base: {task: induction}\ngrid: {n_future: [1, 2]}\n")


WRONG = [
    row("no runs", "report -o a.html", "report: the following arguments are required: runs"),
    row("no page", "report runs", "required: -o/--out"),
    row("a folder that is missing", "report gone -o a.html", "gone: no such folder"),
    row("a page of another kind", "report runs --by width -o a.pdf", "a.pdf: the file must be a .html or .md"),
    row("a page in a folder that is missing", "report runs -o new/a.html", "new: no such folder"),
    row("a page in a run", "report runs -o runs/w8/a.html", "lies in the run w8"),
    row("a page that is not ours", "report runs -o mine.html", "mine.html: exists, and no such command wrote it", "--force"),
    row("a text that is not ours", "report runs -o mine.md", "mine.md: exists, and no such command wrote it"),
    row("an unknown metric", "report runs --metric accuracy/copi/1 -o a.html", "did you mean 'accuracy/copy/1'"),
    row("an unknown setting", "report runs --by withd -o a.html", "do not differ in 'withd'"),
    row("conditions that mix settings", "report runs --by n_future -o a.html", "differ in model.width"),
    row("a file that is no sweep", "report no-sweep.yaml -o a.html", "no-sweep.yaml: base must be a mapping"),
    row("a sweep that was never started", "report never.yaml -o a.html", "holds no study 'never'; start it first"),
    row("a storage without a sweep", "report runs --storage sqlite:///x -o a.html", "storage is for sweeps"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_named_in_one_line(wrong: Wrong, capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected(wrong.arguments, wrong.expected, capsys)


@pytest.mark.parametrize("name", ["a.html", "a.md", "mine.html"])
def test_a_page_is_written_and_replaced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "runs", "-o", name, "--force"]) == 0
    assert main(["report", "runs/w8", "runs/w16", "-o", name]) == 0, "the page is ours now"
    assert capsys.readouterr().out == f"{name}\n" * 2
    page = Path(name).read_text()
    assert "induction: 2 runs" in page
    assert f"lab report runs/w8 runs/w16 -o {name}" in page


def test_a_page_holds_its_figure() -> None:
    assert lab.report("runs", "a.html").read_text().count("data:image/png") == 1


def test_a_sweep_is_reported_with_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    train_sweep(grid(SHORT), Path("runs/tiny"))
    shutil.rmtree("runs/tiny/n2-seed1")
    Path("tiny.yaml").write_bytes(Path("runs/tiny/sweep.yaml").read_bytes())
    for given, name in (("runs/tiny", "a.html"), ("tiny.yaml", "a.md")):
        assert main(["report", given, "-o", name]) == 0
        page = Path(name).read_text()
        assert "4 runs: 3 finished, 1 missing" in page
        assert "its folder is gone" in page
