"""A benchmark prints its progress on standard error, and only its tables on standard output."""

import importlib
import sys

import pytest

from benchmarks.progress import each
from benchmarks.timing import interleaved

SHORT = {
    "__main__": ["--only", "tasks", "--rounds", "1"],
    "coverage": ["--datasets", "2"],
}
"""Arguments with which a benchmark takes a second, by its name."""


def test_a_line_is_printed_before_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    items = each("size", ["1M", "3M"])
    assert next(items) == "1M"
    assert capsys.readouterr().err.endswith("s  size 1 of 2: 1M\n")
    assert list(items) == ["3M"]
    assert capsys.readouterr().err.endswith("s  size 2 of 2: 3M\n")


def test_quick_items_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(each("round", range(1000), at_most_every=60.0)) == list(range(1000))
    assert capsys.readouterr().err.count("\n") == 1


def test_interleaved_timing_prints_candidates_and_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    interleaved({"ours": lambda: None, "theirs": lambda: None}, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split("s  ", 1)[1] for line in err.splitlines()] == [
        "warm-up 1 of 2: ours", "warm-up 2 of 2: theirs", "ours, theirs: round 1 of 3"
    ]  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_a_benchmark_prints_its_progress_on_standard_error(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, *SHORT[name]])
    importlib.import_module(f"benchmarks.{name}").main()
    out, err = capsys.readouterr()
    assert " 1 of " in err
    assert " 1 of " not in out
    assert "torch" in out, "the line with the machine below a table's title"
