"""`lab decode`: what it prints and writes, and bad input of every kind."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lab
from lab.cli.main import main
from lab.decoding import Completion, Drafts, Tree
from lab.decoding.differences import Difference
from lab.evaluation.decode import Decoded
from tests.helpers.rejection import assert_rejected
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

WORDS = "a b c"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write finished runs with 3 prediction heads, one that is not finished, and one that is teacherless."""
    folder = tmp_path_factory.mktemp("runs")
    curve = {12: {"loss/all/1": 1.0}}
    make_run(folder / "induction", tiny(n_future=3, model__layers=5), curve, weights=True)
    make_run(folder / "stories", tiny("stories", n_future=2), curve, weights=True)
    make_run(folder / "running", tiny(), curve, state="interrupted")
    make_run(folder / "teacherless", tiny("star", objective__teacherless=True), curve, weights=True)
    return folder


def test_completions_and_numbers_are_printed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(runs / "stories"), "--rows", "2", "--new-tokens", "12"]) == 0
    out = capsys.readouterr().out
    decoded = lab.decode(runs / "stories", prompts=2, new_tokens=12)
    words, marks, begin = decoded.text[0], decoded.completion.is_draft()[0].tolist(), decoded.completion.prompts[0]
    new = [f"{'+' if mark else ''}{word}" for word, mark in zip(words[begin:], marks[begin:], strict=False)]
    assert " ".join([*words[:begin], "|", *new]) in " ".join(out.split())
    for text in (
        "tokens per forward",
        "2 heads used, blockwise",
        "speed-up in wall time",
        "0 of 2 sequences differ",
        "by the role",
    ):
        assert text in out


def test_the_file_has_the_frame_of_decode_and_the_speedup(runs: Path) -> None:
    words = ["decode", str(runs / "induction"), "--rows", "4", "--heads", "2", "-o", "numbers.csv"]
    assert main(words) == 0
    written, frame = pd.read_csv("numbers.csv"), lab.decode(runs / "induction", draft=2, prompts=4).frame
    expected = dict(zip(frame["metric"], frame["value"], strict=True))
    found = dict(zip(written["metric"], written["value"], strict=True))
    assert found.pop("speedup") > 0
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[name] for name in expected], list(expected.values()))
    assert main(words) == 0, "our own file is replaced"


def test_a_derived_tree_is_saved_and_used_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(runs / "induction")
    assert main(["decode", run, "--nodes", "4", "--rows", "2", "--save-tree", "tree.json"]) == 0
    assert len(Tree.from_json(Path("tree.json").read_text(), 3).paths) == 4
    once = capsys.readouterr().out
    assert main(["decode", run, "--tree", "tree.json", "--rows", "2"]) == 0
    assert next(line for line in capsys.readouterr().out.splitlines() if "forward passes" in line) in once


def test_prompts_are_read_and_drawn_tokens_repeat(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("prompts.txt").write_text(f"{WORDS}\nf\n")
    words = ["decode", str(runs / "induction"), "--prompts", "prompts.txt"]
    words += ["--temperature", "0.9", "--top-p", "0.9", "--seed", "3"]
    assert main(words) == 0
    once = capsys.readouterr().out
    assert f"1  {WORDS} |" in once
    assert main(words) == 0
    again = capsys.readouterr().out
    assert [line for line in again.splitlines() if "|" in line] == [line for line in once.splitlines() if "|" in line]
    assert "differ from head 1" not in once


def test_prompts_shorter_than_held_out_ones_get_more_tokens(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("prompts.txt").write_text("f\n")
    assert main(["decode", str(runs / "induction"), "--prompts", "prompts.txt", "--new-tokens", "11"]) == 0
    assert "speed-up in wall time" in capsys.readouterr().out


def test_head_1_alone_drafts_nothing(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(runs / "induction"), "--heads", "1", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert "1.00 tokens per forward" in out
    assert "speed-up" not in out


def test_the_printed_text_follows_from_the_numbers(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten completions of two words, written by hand, of which the last two differ, on a terminal with colours."""
    rates = {"drafted/2": 40, "accepted/2": 30, "acceptance/2": 0.75, "acceptance_given_reached/all/2": 0.8}
    rates |= {"drafted/3": 20, "accepted/3": 5, "acceptance/3": 0.25, "acceptance_given_reached/all/3": 0.5}
    rates |= {"acceptance_given_reached/word/2": 0.6, "acceptance_given_reached/word/3": 0.1}
    rates |= {"acceptance_given_reached/end/2": 0.9}
    values = rates | {"new_tokens": 50, "forwards": 20, "tokens_per_forward": 2.5, "mean_acceptance_length": 3.1}
    values |= {"differences": 2, "smallest_gap": 0.001}
    drafts = Drafts(*(torch.tensor([number]) for number in (0, 2, 2, 1)))
    done = Completion(torch.zeros(10, 4, dtype=torch.int64), (1,) * 10, (4,) * 10, (2,) * 10, drafts)
    differences = (Difference(8, 1, 0.002), Difference(9, 2, 0.001))
    text = (("one", "two", "three", "four"),) * 10
    decoded = Decoded(done, frame_of(values), Tree.chain(3), differences, text)
    times = frame_of({"seconds": 3, "speedup": 1.5, "tokens_per_forward": 9})
    monkeypatch.setattr("lab.evaluation.decode.decode", lambda *_, **__: decoded)
    monkeypatch.setattr("lab.evaluation.decode.time_decoding", lambda *_, **__: times)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["decode", str(runs / "stories")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("  1  \x1b[2mone \x1b[0m\x1b[1m| \x1b[0mtwo \x1b[32mthree \x1b[0mfour \n")
    lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()]
    assert lines[7:] == [
        "8 one | two three four",
        "... and 2 more",
        "",
        "50 tokens in 20 forward passes: 2.50 tokens per forward",
        "3 heads used, blockwise; mean acceptance length 3.10",
        "speed-up in wall time against head 1 with the same cache, one sequence at a time, greedy: 1.50",
        "2 of 10 sequences differ from head 1 alone; sequence 9 by a gap of 0.002 in the logits; "
        "sequence 10 by a gap of 0.001 in the logits (smallest gap between the two best logits: 0.001)",
        "",
        "head drafted accepted acceptance rate given reached",
        "2 40 30 0.75 0.80",
        "3 20 5 0.25 0.50",
        "",
        "acceptance rate given reached, by the role of the token that was written",
        "role head 2 head 3",
        "word 0.60 0.10",
        "end 0.90",
    ]


def frame_of(values: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame({"metric": list(values), "value": list(values.values())})


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["gone"], "gone: no such folder"),
        (["{runs}/running"], "running: must be finished to decode, not interrupted"),
        (["{runs}/teacherless"], "objective.teacherless must be false to decode"),
        (["{run}", "--heads", "4"], "heads must be between 1 and n_future = 3, not 4"),
        (["{run}", "--heads", "0"], "heads must be between 1 and n_future = 3, not 0"),
        (["{run}", "--heads", "2", "--nodes", "3"], "--heads and --nodes each say what is drafted"),
        (["{run}", "--nodes", "0"], "nodes must be at least 1, not 0"),
        (["{run}", "--heads", "1", "--save-tree", "t.json"], "--save-tree needs a draft"),
        (["{run}", "--save-tree", "t.txt"], "t.txt: the file must be a .json"),
        (["{run}", "--tree", "gone.json"], "gone.json: No such file"),
        (["{run}", "--tree", "damaged.json"], "a tree must be JSON"),
        (["{run}", "--tree", "other.json"], "a tree must be for n_future = 3, not 2"),
        (["{run}", "--tree", "binary"], "binary: not a text file"),
        (["{run}", "--temperature", "0"], "temperature must be a number above 0, not 0.0"),
        (["{run}", "--temperature", "-1"], "temperature must be a number above 0, not -1.0"),
        (["{run}", "--temperature", "nan"], "temperature must be a number above 0, not nan"),
        (["{run}", "--temperature", "warm"], "invalid float value: 'warm'"),
        (["{run}", "--temperature", "1", "--top-p", "0"], "top_p must be above 0 and at most 1, not 0.0"),
        (["{run}", "--temperature", "1", "--top-p", "1.5"], "top_p must be above 0 and at most 1, not 1.5"),
        (["{run}", "--temperature", "1", "--top-p", "nan"], "top_p must be above 0 and at most 1, not nan"),
        (["{run}", "--temperature", "1", "--top-k", "0"], "top_k must be at least 1, not 0"),
        (["{run}", "--top-p", "0.5"], "--top-p needs --temperature"),
        (["{run}", "--rows", "0"], "decode: --rows must be at least 1, not 0"),
        (["{run}", "--new-tokens", "0"], "new_tokens must be between 1 and 9"),
        (["{run}", "--new-tokens", "99"], "new_tokens must be between 1 and 9"),
        (["{run}", "--prompts", "long.txt"], "long.txt, line 2: a prompt must have 1 to 11 words, not 12"),
        (["{run}", "--prompts", "gap.txt"], "gap.txt, line 2: a prompt must have 1 to 11 words, not 0"),
        (["{run}", "--prompts", "empty.txt"], "empty.txt: has no prompt"),
        (["{run}", "--prompts", "gone.txt"], "gone.txt: No such file"),
        (["{run}", "--prompts", "word.txt"], "word.txt, line 1: induction has no word 'dog'"),
        (["{run}", "-o", "numbers.txt"], "numbers.txt: the file must be a .csv"),
        (["{run}", "-o", "gap.txt"], "gap.txt: the file must be a .csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_rejected_and_writes_nothing(
    words: list[str], named: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("long.txt").write_text(f"{WORDS}\n{WORDS} {WORDS} {WORDS} {WORDS}\n")
    Path("gap.txt").write_text(f"{WORDS}\n\n{WORDS}\n")
    Path("empty.txt").write_text("")
    Path("word.txt").write_text("a dog b\n")
    Path("damaged.json").write_text('{"format": 1, "paths": [[0]')
    Path("other.json").write_text(Tree.chain(2).to_json(2))
    Path("binary").write_bytes(b"\xff\xfe\x00\x81")
    assert_rejected(["decode", *(word.format(runs=runs, run=runs / "induction") for word in words)], (named,), capsys)
