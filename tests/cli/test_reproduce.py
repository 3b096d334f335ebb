"""`lab reproduce`: plans, one study from training to its page, and what is rejected."""

import re
from pathlib import Path

import pytest

from lab.cli.main import main
from tests.helpers.rejection import assert_rejected

pytestmark = pytest.mark.process


def test_the_plan_is_printed_without_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "star", "--plan", "--batch-size", "2", "--compile", "none"]) == 0
    assert "star-laptop: 40 runs: 5 configurations x 8 seeds" in capsys.readouterr().out
    assert not list(Path().iterdir())


def test_the_demo_is_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "demo", "--plan", "--batch-size", "2"]) == 0
    printed = capsys.readouterr().out
    assert "demo-agreement: 12 runs: 2 configurations x 6 seeds" in printed
    assert "demo-induction, at most: 12 runs: 2 configurations x 6 seeds" in printed
    assert re.search(r"^all sweeps: 24 runs, about .+ with \d+ workers?, .+ training FLOPs$", printed, re.MULTILINE)


def test_the_papers_scale_is_planned_in_gpu_hours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "fig7", "--scale", "paper", "--plan"]) == 0
    printed = capsys.readouterr().out
    assert "fig7-paper: 28 runs: 14 configurations x 2 seeds" in printed
    assert "GPU-hours at 40% of an H100's 989 TFLOP/s" in printed
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_a_study_of_two_sweeps_is_trained_once_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "fig7", "--steps", "4", "--schedule.warmup_steps", "1", "--examples", "32"]
    words += ["--evaluation.every", "2", "--evaluation.examples", "2", "--workers", "2"]
    assert main(words) == 0
    names = ["emergence.csv", "emergence.png", "fig7.csv", "fig7.png", "frame.csv.gz", "rates.csv", "report.md"]
    out = Path("results/fig7")
    assert sorted(path.name for path in out.iterdir()) == names
    before = {name: (out / name).read_bytes() for name in names}
    capsys.readouterr()
    assert main(words) == 0
    assert "sequences/s" not in capsys.readouterr().out
    assert {name: (out / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stra"], "did you mean 'star'"),
        (["star", "--scale", "planet"], "star has no scale 'planet'; it has: laptop"),
        (["star", "--workers", "0"], "--workers must be at least 1"),
        (["star", "--stepz", "10"], "did you mean 'steps'"),
        (["star", "--n-future", "3"], "--n_future cannot be given: it is what star-laptop varies"),
        (["fig7", "--optimiser.peak_lr", "1e-3"], "--optimiser.peak_lr cannot be given"),
        (["s4", "--join", "results/s4"], "--join cannot be given: s4 has no parts"),
        (["epochs", "--join", "a", "b", "--plan"], "--plan cannot be given with --join, which trains nothing"),
        (["epochs", "--join", "a", "b", "--workers", "2"], "--workers cannot be given with --join"),
        (["atlas", "--scale", "star", "--join", "a", "b"], "--scale cannot be given with --join"),
        (["epochs", "--join", "a", "b", "--runs", "c"], "--runs cannot be given with --join"),
        (["epochs", "--steps", "3", "--join", "a", "b"], "--steps cannot be given with --join"),
        (["epochs", "--join", "a", "results/epochs"], "--out must be another folder than those of --join"),
        (["epochs", "--join", "a", "b"], "a: has no frame.csv.gz, as the folder of a study's report has"),
        (["fig7", "--task", "induction"], "metric 'accuracy/second_again/1' is not reported"),
    ],
)
def test_wrong_requests_are_rejected(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_rejected(["reproduce", *arguments], (message,), capsys)
