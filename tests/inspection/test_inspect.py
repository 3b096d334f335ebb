"""Every instrument on several runs, in Python and as a command."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lab
from lab.cli.main import main
from lab.cli.options import function_options
from lab.errors import LabError
from lab.inspection.inspect import read_frame
from lab.inspection.instruments import INSTRUMENTS
from tests.helpers.rejection import assert_rejected
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write runs of agreement with n = 1 and n = 2, two seeds each, at initial weights."""
    folder = tmp_path_factory.mktemp("runs")
    for n in (1, 2):
        for seed in (0, 1):
            make_run(folder / f"n{n}-{seed}", tiny("agreement", n_future=n, seed=seed), {12: {"loss/all/1": 1.0}}, weights=True)
    return folder


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_measures_and_draws(name: str, runs: Path) -> None:
    instrument = INSTRUMENTS[name]
    frame = lab.inspect(name, runs, sequences=16)
    assert frame["run"].nunique() == 4
    assert set(frame["step"]) == {12}
    assert not frame.duplicated(["run", "step", *instrument.coordinates]).any()
    figure, numbers = instrument.load_draw()(frame)
    assert figure.axes
    assert len(numbers)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_option_is_described(name: str) -> None:
    instrument = INSTRUMENTS[name]
    options = function_options(instrument.load_measure(), skip=2) | function_options(instrument.load_draw(), 1, ("by", "axes"))
    assert options
    for option, settings in options.items():
        assert settings["help"], option


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_saved_frame_is_read_as_it_was_measured(name: str, runs: Path, tmp_path: Path) -> None:
    chosen, saved = [str(runs / "n1-0"), str(runs / "n2-0")], tmp_path / "a.csv"
    assert main(["inspect", name, *chosen, "--sequences", "16", "-o", str(saved)]) == 0
    pd.testing.assert_frame_equal(read_frame(name, saved), lab.inspect(name, chosen, sequences=16), rtol=1e-12)


def test_a_saved_frame_draws_the_same_figure(runs: Path, tmp_path: Path) -> None:
    once, again = tmp_path / "once.png", tmp_path / "again.png"
    assert main(["inspect", "rank", str(runs), "--sequences", "16", "-o", str(once)]) == 0
    assert main(["inspect", "rank", str(once.with_suffix(".csv")), "-o", str(again)]) == 0
    assert once.read_bytes() == again.read_bytes()


def test_bad_input_is_rejected_in_one_line(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("empty"), tiny("agreement"))
    Path("a.csv").write_text("run,task,value\na,b,1\n")
    for words, named in (
        (["ranks", str(runs)], "unknown instrument 'ranks'; did you mean 'rank'"),
        (["rank", str(runs), "--step", "13"], "step must be last, all, or 12"),
        (["rank", str(runs), "--step", "first"], "step must be last, all"),
        (["rank", str(runs), "--sequences", "0"], "sequences must be at least 1"),
        (["rank", str(runs), "--split", "dev"], "split"),
        (["rank", str(runs), "-o", "a.txt"], "a.txt: the file must be"),
        (["rank", "empty"], "has no weights yet"),
        (["rank", "a.csv"], "is no frame of rank: it has no n_future"),
        (["rank", str(runs), "--by", "widht"], "the runs do not differ in 'widht'"),
    ):
        assert_rejected(["inspect", *words], (named,), capsys)


def test_a_damaged_frame_is_rejected(runs: Path, tmp_path: Path) -> None:
    frame = lab.inspect("rank", runs, sequences=16)
    for column in ("seed", "step", "layer", "value"):
        frame.astype({column: object}).assign(**{column: ["a", *frame[column][1:]]}).to_csv(tmp_path / "a.csv", index=False)
        with pytest.raises(LabError, match=f"a.csv: is no frame of rank: {column} must be a number in every row"):
            read_frame("rank", tmp_path / "a.csv")


def test_steps_and_options_are_checked(runs: Path) -> None:
    with pytest.raises(LabError, match="rank has no option 'sequence'; did you mean 'sequences'"):
        lab.inspect("rank", runs, sequence=3)
    with pytest.raises(LabError, match=r"sequences must be a whole number, not 2\.5"):
        lab.inspect("rank", runs, sequences=2.5)
    with pytest.raises(LabError, match="targets must be a text, not 3"):
        lab.inspect("probe", runs, targets=3)
    with pytest.raises(LabError, match="pool must be one of position, role, scored, not 'rolle'"):
        lab.inspect("probe", runs, pool="rolle")
    with pytest.raises(LabError, match="runs must hold at least one run"):
        lab.inspect("rank", [])
    every, last = (lab.inspect("rank", runs / "n1-0", step=step, sequences=4) for step in ("all", 12))
    pd.testing.assert_frame_equal(every, last)


def test_the_command_prints_means_and_differences(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "rank", str(runs), "--sequences", "16"]) == 0
    printed = capsys.readouterr().out
    assert "n = 2 against n = 1" in printed
    assert "p_holm" in printed


def test_a_frame_has_the_columns_of_its_runs(runs: Path) -> None:
    frame: pd.DataFrame = lab.inspect("rank", runs, sequences=16)
    assert list(frame.columns[:4]) == ["run", "task", "n_future", "seed"]
    assert frame.attrs["instrument"] == "rank"
    assert (frame["tokens"] == 12 * tiny("agreement").positions_per_step).all()


class Steps:
    """A progress bar that counts the networks, all of them and those that are measured."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0

    def __call__(self, networks: Sequence[Any]) -> Iterator[Any]:
        self.total += len(networks)
        for each in networks:
            self.done += 1
            yield each


def test_progress_is_known_network_by_network(runs: Path) -> None:
    inspected, evaluated = Steps(), Steps()
    lab.inspect("rank", runs, track=inspected, sequences=4)
    lab.evaluate(runs, step="all", track=evaluated)
    assert (inspected.total, inspected.done) == (evaluated.total, evaluated.done) == (4, 4)


@pytest.mark.parametrize("command", [["inspect", "rank"], ["evaluate"]])
def test_a_terminal_shows_a_bar_and_a_log_does_not(
    command: list[str], runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(runs)]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert main([*command, str(runs)]) == 0
    assert "measuring" in capsys.readouterr().err


def test_a_run_with_damaged_metrics_does_not_hide_others(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs" / "n1-1" / "metrics.csv").write_text("")
    assert set(lab.inspect("rank", tmp_path / "runs", sequences=16)["run"]) == {"n1-0", "n2-0", "n2-1"}
    assert capsys.readouterr().err.count("n1-1") == 1
    with pytest.raises(LabError, match="metrics"):
        lab.inspect("rank", tmp_path / "runs" / "n1-1", sequences=16)


def test_controls_are_not_compared_between_conditions(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "probe", str(runs), "--sequences", "64", "--targets", "verb", "--positions", "8"]) == 0
    means, differences = capsys.readouterr().out.split("paired differences")
    assert "untrained" in means
    assert "untrained" not in differences
    assert "shuffled" not in differences
    assert "no corrected p-value can be below" in differences, "there are only two pairs of seeds"
