"""`lab plot`: options of the page, saved frames, and bad input of every kind."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import lab
from lab.cli.main import main
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for n in (1, 2):
        for seed in range(2):
            curve = {step: {METRIC: step * n / 40} for step in (0, 10, 20)}
            make_run(folder / "runs" / f"n{n}-{seed}", lab.experiment("induction", n_future=n, seed=seed), curve)
    lab.frame(lab.open_runs(folder / "runs")).to_csv(folder / "frame.csv", index=False)
    lab.frame(lab.open_runs(folder / "runs")).to_csv(folder / "frame.csv.gz", index=False)
    return folder


def plot(folder: Path, tmp_path: Path, *words: str, figure: str = "emergence", runs: str = "runs") -> int:
    return main(["plot", figure, str(folder / runs), "-o", str(tmp_path / "a.png"), *words])


def test_a_figure_has_the_width_of_its_page(folder: Path, tmp_path: Path) -> None:
    assert plot(folder, tmp_path, "--width", "column", "--height", "70mm", "--style", "paper", "--title", "Copying") == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (650, 551)


def test_every_option_of_a_curve_is_drawn(folder: Path, tmp_path: Path) -> None:
    assert main(["plot", "emergence", str(folder / "runs"), "-o", str(tmp_path / "a.svg"), "--ylim", "0,0.8", "--per-seed",
                 "--label", "n = 1=next token", "--label", "n = 2=two = more", "--line", "a half=0.5"]) == 0  # fmt: skip
    text = (tmp_path / "a.svg").read_text()
    for words in ("next token", "two = more", "a half", "chance"):
        assert f">{words}<" in text
    assert "n = 1" not in text


@pytest.mark.parametrize("name", ["frame.csv", "frame.csv.gz"])
def test_a_saved_frame_gives_the_same_figure_as_its_runs(name: str, folder: Path, tmp_path: Path) -> None:
    assert plot(folder, tmp_path) == 0
    own = pd.read_csv(tmp_path / "a.csv")
    assert plot(folder, tmp_path, runs=name) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), own)
    assert plot(folder, tmp_path, "--line", "half=.5", runs=name) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--width", "wide"), "width must be column, page"),
        (("--height", "3"), "height must be a length"),
        (("--style", "poster"), "style must be notebook, paper, talk"),
        (("--ylim", "1"), "--ylim must be two numbers with a comma between, as 0,1, not '1'"),
        (("--ylim", "0,b"), "--ylim must be a number, not 'b'"),
        (("--ylim", "1,0"), "ylim must be two finite numbers, the lower one first"),
        (("--label", "n = 1"), "--label must be CONDITION=TEXT without blanks around the last =, not 'n = 1'"),
        (("--label", "n = 9=nine"), "label: the figure has no condition 'n = 9'"),
        (("--label", "n = 1=a", "--label", "n = 1=b"), "--label: 'n = 1' is given twice"),
        (("--line", "half"), "--line must be NAME=VALUE"),
        (("--line", "half=x"), "--line must be a number, not 'x'"),
        (("--height", "39mm", "--title", "A title"), "the figure has no room on 117mm x 39mm"),
        (("--smooth", "3"), "unrecognized arguments: --smooth 3"),
    ],
)
def test_bad_options_are_rejected_and_write_nothing(
    words: tuple[str, ...], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(folder, tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [("--line", "a=1"), ("--per-seed",)])
def test_a_figure_without_an_option_rejects_it(
    option: tuple[str, ...], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(folder, tmp_path, *option, figure="grid") == 2
    assert f"unrecognized arguments: {' '.join(option)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("a,b\n1,2\n", "is no frame of runs: it has no run, n_future, seed, step, metric, value"),
        ("run,n_future,seed,step,metric,value\n", "is no frame of runs: it has no rows"),
        ("run,n_future,seed,step,metric,value\na,1,0,0,m,x\n", "value must be a number in every row"),
        ("run,n_future,seed,step,metric,value\na,1,0,0,m,1\n", "the frame does not determine the metric: give --metric"),
        ("run,task,n_future,seed,step,metric,value\na,star,1,0,0,m,1\n", "give --metric"),
        ("run,task,n_future,seed,step,metric,value\na,nonsense,1,0,0,m,1\n", "give --metric"),
    ],
)
def test_a_file_that_is_no_frame_is_rejected(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    assert plot(tmp_path, tmp_path, runs="bad.csv") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_frame_and_runs_together_are_rejected(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [str(folder / "frame.csv"), str(folder / "runs")]
    assert main(["plot", "emergence", *both, "-o", str(tmp_path / "a.png")]) == 2
    assert "frame.csv is a frame: give it alone, or folders of runs" in capsys.readouterr().err
    assert plot(tmp_path, tmp_path, runs="missing.csv") == 2
    assert "missing.csv: no such file" in capsys.readouterr().err
