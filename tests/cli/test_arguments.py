"""Options and settings on a command line."""

import pytest

import lab
from lab.cli.arguments import Parser, parse_settings, setting_names
from lab.cli.main import main
from lab.errors import LabError
from tests.helpers.tiny import tiny_options


def test_settings_have_dotted_names_and_values_of_yaml() -> None:
    assert parse_settings(["--lr", "1e-3", "--n-future=2"]) == {"optimiser.peak_lr": 1e-3, "n_future": 2}
    assert parse_settings(["--objective", "{name: bag, window: 2}"]) == {"objective": {"name": "bag", "window": 2}}
    assert setting_names("lr,n-future") == ["optimiser.peak_lr", "n_future"]


def test_a_setting_under_two_names_is_rejected_with_both() -> None:
    with pytest.raises(LabError, match=r"setting --optimiser.peak-lr is given twice, once as --lr"):
        parse_settings(["--lr", "1", "--optimiser.peak-lr", "1"])


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("1e3", 1000), ("-2e0", -2), ("9" * 20, int("9" * 20))])
def test_a_whole_number_may_have_an_exponent(text: str, number: int) -> None:
    parser = Parser("test", "")
    parser.add_argument("--rows", type=int)
    assert parser.parse_args([f"--rows={text}"]).rows == number


@pytest.mark.parametrize("text", ["1.5", "1e-1", "1e999", "e", "nan", "one"])
def test_text_that_is_no_whole_number_is_rejected(text: str) -> None:
    parser = Parser("test", "")
    parser.add_argument("--rows", type=int)
    with pytest.raises(LabError, match="test: argument --rows: invalid int value: "):
        parser.parse_args(["--rows", text])


@pytest.mark.process
def test_the_short_warm_up_of_a_short_run_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = tiny_options(steps=20, evaluation__every=20)
    at = words.index("--schedule.warmup-steps")
    del words[at : at + 2]
    assert main(["train", "induction", *words, "--out", "run"]) == 0
    assert capsys.readouterr().out.startswith("warm-up of 2 steps, a tenth of all (schedule.warmup_steps)\n")
    assert lab.Run("run").experiment.schedule.warmup_steps == 2
