"""No command writes into a run, over a sweep's files, over its input, or, unforced, over a file that it did not write."""

from pathlib import Path

import pytest

import lab
from lab import plots
from lab.cli.main import main
from lab.runs.outputs import check_file
from tasks.export import export_lines
from tests.helpers.rejection import TINY, listing
from tests.helpers.runs import make_run

FIGURE = ["plot", "emergence", "runs", "-o"]
OUTPUTS = {
    "plot": (FIGURE, "x.png"),
    "plot's table": (FIGURE, "x.csv"),
    "tasks export": (["tasks", "export", "star", "--size", "2", "-o"], "x.jsonl"),
    "tasks draw": (["tasks", "draw", "star", "--rows", "1", "-o"], "x.png"),
    "tasks inspect": (["tasks", "inspect", "star", "--drawn", "4", "-o"], "x.json"),
    "evaluate": (["evaluate", "runs/seed0", "--data", "data.jsonl", "-o"], "x.csv"),
}
"""Commands with an output, and a file that each writes."""


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of star with weights, and a test set."""
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        curve = {step: {"accuracy/turn/1": 0.01 * step} for step in (0, 25, 50)}
        experiment = lab.experiment("star", {"seed": seed, "model.width": 8, "model.n_heads": 2, "model.layers": 3})
        make_run(Path(f"runs/seed{seed}"), experiment, curve, weights=True)
    lines = export_lines(experiment.task, "test", 2, 0)
    Path("data.jsonl").write_text("".join(f"{line}\n" for line in lines))


def rejected(arguments: list[str], *words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, one line with the words, and no file changed."""
    before = listing(Path.cwd())
    capsys.readouterr()
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for word in words:
        assert word in line
    assert listing(Path.cwd()) == before


def path_for(words: list[str], written: str, folder: str = "") -> list[str]:
    """The command with a path of its first output such that it writes a file of that name."""
    return [*words, folder + (written if words is not FIGURE else "x.png")]


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_is_written_into_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, written = OUTPUTS[name]
    rejected(path_for(words, written, "runs/seed0/"), "lies in the run seed0", capsys=capsys)
    Path("linked").symlink_to("runs/seed1")
    Path("runs/seed1/below").mkdir()
    rejected(path_for(words, written, "linked/below/"), "lies in the run seed1", capsys=capsys)
    rejected([*path_for(words, written, "runs/seed0/"), "--force"], "lies in the run seed0", capsys=capsys)


@pytest.mark.parametrize("name", OUTPUTS)
def test_only_files_of_ours_are_replaced_unforced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, written = OUTPUTS[name]
    Path(written).write_text("mine")
    rejected(path_for(words, written), f"{written}: exists, and no such command wrote it", capsys=capsys)
    assert main([*path_for(words, written), "--force"]) == 0
    assert Path(written).read_bytes()[:4] != b"mine"
    assert main(path_for(words, written)) == 0, "it is ours now"


def test_the_table_of_a_run_is_not_the_table_of_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    rejected(["plot", "emergence", "runs/seed0", "-o", "runs/seed0/metrics.png"], "lies in the run seed0", capsys=capsys)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_table_that_was_edited_is_no_longer_ours(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIGURE, f"x{suffix}"]) == 0
    assert main([*FIGURE, f"x{suffix}"]) == 0
    assert main([*FIGURE, "x.svg"]) == 0, "the same numbers as another kind of file"
    with Path("x.csv").open("a") as file:
        file.write("a note\n")
    rejected([*FIGURE, f"x{suffix}"], "x.csv: exists", capsys=capsys)


def test_a_sweep_keeps_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/sweep.yaml").write_text("name: s\n")
    rejected([*FIGURE, "runs/frame.png", "--force"], "runs/frame.csv: belongs to the sweep", capsys=capsys)
    assert main([*FIGURE, "runs/other.png"]) == 0


def test_an_evaluation_is_not_written_over_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.jsonl").rename("data.csv")
    words = ["evaluate", "runs/seed0", "--data", "./data.csv", "-o", "data.csv", "--force"]
    rejected(words, "data.csv: is the data itself", capsys=capsys)


def test_a_gallery_replaces_no_picture_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pictures").mkdir()
    Path("pictures/walks.png").write_text("mine")
    Path("pictures/stories.png").write_text("mine")
    rejected(["tasks", "gallery", "-o", "pictures"], "pictures/stories.png: exists", capsys=capsys)
    rejected(["tasks", "gallery", "-o", "runs/seed0"], "lies in the run seed0", capsys=capsys)


@pytest.mark.parametrize(("words", "page"), [(["demo"], "index.html"), (["reproduce", "star"], "report.md")])
def test_a_page_goes_into_a_folder_of_its_own(words: list[str], page: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    for name in (page, "emergence.png", "frame.csv"):
        Path("out", name).write_text("mine")
        rejected([*words, "--out", "out"], f"out/{name}: exists", capsys=capsys)
        Path("out", name).unlink()
    rejected([*words, "--out", "runs/seed0"], "lies in the run seed0", capsys=capsys)


def test_runs_and_sweeps_are_not_put_into_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    rejected(["train", "induction", *TINY, "--out", "runs/seed0/more"], "lies in the run seed0", capsys=capsys)
    Path("s.yaml").write_text("base: {task: induction, steps: 4, schedule.warmup_steps: 1}\ngrid: {n_future: [1, 2]}\n")
    rejected(["sweep", "s.yaml", "--out", "runs/seed0"], "lies in the run seed0", capsys=capsys)
    Path("data").mkdir()
    Path("data/frame.csv").write_text("mine")
    rejected(["sweep", "s.yaml", "--out", "data"], "data/frame.csv: exists already", capsys=capsys)
    Path("data/sweep.yaml").write_bytes(Path("s.yaml").read_bytes())
    rejected(["sweep", "data/sweep.yaml", "--out", "data"], "holds a sweep whose study is not in data", capsys=capsys)


def test_saving_in_python_spares_runs_as_well() -> None:
    figure, table = plots.emergence(lab.frame(lab.open_runs(["runs"])), "accuracy/turn/1")
    with pytest.raises(lab.LabError, match="lies in the run seed0"):
        plots.save(figure, table, "runs/seed0/metrics.png")
    Path("x.png").write_text("mine")
    assert plots.save(figure, table, "x.png")
    check_file(Path("x.png"), (".png",))
