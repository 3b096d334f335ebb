"""No command writes into a run, over a sweep's files, over its input, or, without --force, over files of others."""

from pathlib import Path

import pytest

import lab
from lab import plots
from lab.cli.main import main
from lab.runs.outputs import check_file
from tasks.export import export_lines
from tests.helpers.rejection import TRAIN, assert_rejected
from tests.helpers.runs import make_run

FIGURE = ["plot", "emergence", "runs", "-o"]
OUTPUTS = {
    "plot": (FIGURE, "x.png", "x.png"),
    "plot's table": (FIGURE, "x.png", "x.csv"),
    "tasks export": (["tasks", "export", "star", "--size", "2", "-o"], "x.jsonl", "x.jsonl"),
    "tasks draw": (["tasks", "draw", "star", "--rows", "1", "-o"], "x.png", "x.png"),
    "tasks inspect": (["tasks", "inspect", "star", "--drawn", "4", "-o"], "x.json", "x.json"),
    "evaluate": (["evaluate", "runs/seed0", "--data", "data.jsonl", "-o"], "x.csv", "x.csv"),
}
"""Commands without the path of their output, such a path, and a file that each then writes."""


@pytest.fixture(autouse=True)
def runs() -> None:
    """Write two runs of star with weights, and a test set."""
    for seed in (0, 1):
        curve = {step: {"accuracy/turn/1": 0.01 * step} for step in (0, 25, 50)}
        experiment = lab.experiment("star", {"seed": seed, "model.width": 8, "model.n_heads": 2, "model.layers": 3})
        make_run(Path(f"runs/seed{seed}"), experiment, curve, weights=True)
    lines = export_lines(experiment.task, "test", 2, 0)
    Path("data.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_is_written_into_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, output, _ = OUTPUTS[name]
    Path("linked").symlink_to("runs/seed1")
    Path("runs/seed1/below").mkdir()
    assert_rejected([*command, f"runs/seed0/{output}"], ("lies in the run seed0",), capsys)
    assert_rejected([*command, f"runs/seed0/{output}", "--force"], ("lies in the run seed0",), capsys)
    assert_rejected([*command, f"linked/below/{output}"], ("lies in the run seed1",), capsys)


@pytest.mark.parametrize("name", OUTPUTS)
def test_without_force_only_our_files_are_replaced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, output, written = OUTPUTS[name]
    command = [*words, output]
    Path(written).write_text("mine")
    assert_rejected(command, (f"{written}: exists, and no such command wrote it",), capsys)
    assert main([*command, "--force"]) == 0
    assert Path(written).read_bytes()[:4] != b"mine"
    assert main(command) == 0, "the file is ours now"


def test_the_table_of_a_run_is_not_the_table_of_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected(["plot", "emergence", "runs/seed0", "-o", "runs/seed0/metrics.png"], ("lies in the run seed0",), capsys)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_table_that_was_edited_is_no_longer_ours(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIGURE, f"x{suffix}"]) == 0
    assert main([*FIGURE, "x.svg"]) == 0, "the same numbers, in another format"
    with Path("x.csv").open("a") as file:
        file.write("a note\n")
    assert_rejected([*FIGURE, f"x{suffix}"], ("x.csv: exists",), capsys)


def test_a_sweep_keeps_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/sweep.yaml").write_text("name: s\n")
    assert_rejected([*FIGURE, "runs/frame.png", "--force"], ("runs/frame.csv: belongs to the sweep",), capsys)
    assert main([*FIGURE, "runs/other.png"]) == 0


def test_an_evaluation_is_not_written_over_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.jsonl").rename("data.csv")
    words = ["evaluate", "runs/seed0", "--data", "./data.csv", "-o", "data.csv", "--force"]
    assert_rejected(words, ("data.csv: is the data itself",), capsys)


def test_a_gallery_does_not_replace_foreign_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pictures").mkdir()
    Path("pictures/walks.png").write_text("mine")
    Path("pictures/stories.png").write_text("mine")
    assert_rejected(["tasks", "gallery", "-o", "pictures"], ("pictures/stories.png: exists",), capsys)
    assert_rejected(["tasks", "gallery", "-o", "runs/seed0"], ("lies in the run seed0",), capsys)


@pytest.mark.parametrize(("words", "page"), [(["demo"], "index.html"), (["reproduce", "star"], "report.md")])
def test_a_page_does_not_replace_foreign_files(words: list[str], page: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    for name in (page, "emergence.png", "frame.csv"):
        Path("out", name).write_text("mine")
        assert_rejected([*words, "--out", "out"], (f"out/{name}: exists",), capsys)
        Path("out", name).unlink()
    assert_rejected([*words, "--out", "runs/seed0"], ("lies in the run seed0",), capsys)


def test_runs_and_sweeps_are_not_written_into_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected([*TRAIN[:-1], "runs/seed0/more"], ("lies in the run seed0",), capsys)
    Path("s.yaml").write_text("base: {task: induction, steps: 4, schedule.warmup_steps: 1}\ngrid: {n_future: [1, 2]}\n")
    assert_rejected(["sweep", "s.yaml", "--out", "runs/seed0"], ("lies in the run seed0",), capsys)
    Path("data").mkdir()
    Path("data/frame.csv").write_text("mine")
    assert_rejected(["sweep", "s.yaml", "--out", "data"], ("data/frame.csv: exists already",), capsys)
    Path("data/sweep.yaml").write_bytes(Path("s.yaml").read_bytes())
    assert_rejected(["sweep", "data/sweep.yaml", "--out", "data"], ("holds a sweep whose study is not in data",), capsys)


def test_saving_in_python_does_not_write_into_runs() -> None:
    figure, table = plots.emergence(lab.frame(lab.open_runs(["runs"])), "accuracy/turn/1")
    with pytest.raises(lab.LabError, match="lies in the run seed0"):
        plots.save(figure, table, "runs/seed0/metrics.png")
    Path("x.png").write_text("mine")
    assert plots.save(figure, table, "x.png")
    check_file(Path("x.png"), (".png",))
