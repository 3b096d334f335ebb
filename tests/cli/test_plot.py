"""`lab plot`: options of the page, saved frames, and bad input of every kind."""

from pathlib import Path

import pytest
from PIL import Image

import lab
from lab.cli.main import main
from tests.helpers.rejection import assert_rejected
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two seeds of n = 1 and 2, and their frame, which is saved in two formats."""
    folder = tmp_path_factory.mktemp("runs")
    for n in (1, 2):
        for seed in range(2):
            curve = {step: {METRIC: step * n / 40} for step in (0, 10, 20)}
            make_run(folder / "runs" / f"n{n}-{seed}", lab.experiment("induction", n_future=n, seed=seed), curve)
    frame = lab.frame(lab.open_runs(folder / "runs"))
    for name in ("frame.csv", "frame.csv.gz"):
        frame.to_csv(folder / name, index=False)
    return folder


def plot(runs: Path, *words: str, figure: str = "emergence") -> list[str]:
    """Return the command that draws a figure of runs, or of a saved frame, into a.png."""
    return ["plot", figure, str(runs), "-o", "a.png", *words]


def test_a_figure_has_the_width_of_its_page(folder: Path) -> None:
    size = ["--width", "column", "--height", "70mm"]
    assert main(plot(folder / "runs", *size, "--style", "paper", "--title", "Copying")) == 0
    with Image.open("a.png") as image:
        assert image.size == (650, 551)


def test_every_option_of_a_curve_is_drawn(folder: Path) -> None:
    labels = ["--label", "n = 1=next token", "--label", "n = 2=two = more"]
    options = ["--ylim", "0,0.8", "--per-seed", *labels, "--line", "a half=0.5"]
    assert main(["plot", "emergence", str(folder / "runs"), "-o", "a.svg", *options]) == 0
    text = Path("a.svg").read_text()
    for words in ("next token", "two = more", "a half", "chance"):
        assert f">{words}<" in text
    assert "n = 1" not in text


@pytest.mark.parametrize("name", ["frame.csv", "frame.csv.gz"])
def test_a_saved_frame_gives_the_same_numbers_as_its_runs(name: str, folder: Path) -> None:
    assert main(plot(folder / "runs")) == 0
    own = Path("a.csv").read_bytes()
    assert main(plot(folder / name, "--line", "half=.5")) == 0
    assert Path("a.csv").read_bytes() == own


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
def test_bad_options_are_rejected(
    words: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_rejected(plot(folder / "runs", *words), (message,), capsys)


@pytest.mark.parametrize("option", [("--line", "a=1"), ("--per-seed",)])
def test_a_figure_without_an_option_rejects_it(
    option: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"unrecognized arguments: {' '.join(option)}"
    assert_rejected(plot(folder / "runs", *option, figure="grid"), (message,), capsys)


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
def test_a_file_that_is_no_frame_is_rejected(content: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.csv").write_text(content)
    assert_rejected(plot(Path("bad.csv")), (message,), capsys)


def test_a_frame_is_given_alone_and_exists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [str(folder / "frame.csv"), str(folder / "runs")]
    assert_rejected(["plot", "emergence", *both, "-o", "a.png"], ("frame.csv is a frame: give it alone",), capsys)
    assert_rejected(plot(Path("missing.csv")), ("missing.csv: no such file",), capsys)
