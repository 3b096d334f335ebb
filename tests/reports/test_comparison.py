"""`lab.compare` and the formats of its table."""

import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lab
from lab.errors import LabError
from lab.reports.comparison import FORMATS
from lab.reports.tables import decimals, escape_latex, latex_table, markdown_table, plain_table
from tests.helpers.frames import synthetic_frame
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"
VALUES = {1: [0.5, 0.52, 0.55, 0.6, 0.61, 0.66], 2: [0.75, 0.7, 0.8, 0.82, 0.9, 0.95]}
"""End value of each seed."""


def frame(seeds: int = 6) -> pd.DataFrame:
    return synthetic_frame(
        [{"n_future": n} for n in VALUES],
        lambda own, seed, step: {METRIC: VALUES[own["n_future"]][seed] * step / 100},
        seeds=seeds,
    )


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for n, values in VALUES.items():
        for seed, value in enumerate(values):
            experiment = lab.experiment("induction", {"n_future": n, "seed": seed})
            make_run(tmp_path / f"runs/n{n}-seed{seed}", experiment, {0: {METRIC: 0.0}, 100: {METRIC: value}})
    return tmp_path / "runs"


def test_runs_and_their_frame_give_the_same_table(runs: Path) -> None:
    table = lab.compare(runs)
    difference = np.mean(np.subtract(VALUES[2], VALUES[1]))
    assert table.frame["difference"].iloc[1] == pytest.approx(difference)
    assert table.title == "accuracy on the copied segment (next token), last evaluation of each run"
    shown = table.shown()
    assert list(shown.columns) == [
        *("condition", "runs", "mean [90 %]", "difference [90 %]", "pairs", "p", "Holm", "least", "found")
    ]
    low, high = table.frame.loc[1, ["low", "high"]]
    assert shown.iloc[1]["difference [90 %]"] == f"{difference:+.3f} [{low:.3f}, {high:.3f}]"
    assert shown.iloc[1][["p", "Holm", "least", "found"]].tolist() == ["0.031", "0.031", "0.031", "yes"]
    assert shown.iloc[0]["difference [90 %]":].tolist() == ["-"] * 6
    again = lab.compare(lab.frame(lab.open_runs(runs)), "n_future")
    pd.testing.assert_frame_equal(again.frame, table.frame)
    assert repr(table) == table.text()
    assert "<td>n = 2</td>" in table._repr_html_()


def test_times_are_compared_with_their_threshold() -> None:
    table = lab.compare(frame(), at="onset")
    assert table.title == "training tokens until accuracy on the copied segment (next token) reaches 0.5 (onset)"
    shown = table.shown()
    assert shown["emerged [90 %]"].iloc[0].startswith("1 of 6 ["), "two consecutive points are needed"
    assert "% later [90 %]" in shown
    assert lab.compare(frame(), at=0.3).title.endswith("reaches 0.3")
    never = lab.compare(frame(), at=0.99).shown()
    assert never["% later [90 %]"].tolist() == ["-", "-"], "there is no size if neither run of any pair emerged"


def test_the_share_of_solved_runs_is_next_to_the_mean() -> None:
    table = lab.compare(frame(), solved=0.75)
    shown = table.shown()
    assert list(shown.columns)[2:6] == ["mean [90 %]", "solved [90 %]", "onset", "difference [90 %]"]
    assert shown["solved [90 %]"].tolist() == ["0 of 6 [0.00, 0.39]", "5 of 6 [0.42, 0.99]"]
    assert shown["onset"].tolist() == ["-", "163840"], "half of the seeds of n = 2 after 80 of 100 steps"
    assert table.reading()[0] == "Solved: runs that are at or above 0.75; a run that diverged is not."
    assert table.reading()[1].startswith("Onset: tokens by which half of the runs had reached 0.5 at 2 evaluations in a row")
    assert "In brackets: 90 % intervals: exact ones of the share that solved it, else by" in table.reading()[3]
    rows = json.loads(table.json())["rows"]
    assert (rows[1]["solved"], rows[1]["solved_of"], rows[1]["solved_threshold"]) == (5, 6, 0.75)
    loss = frame().assign(metric="loss/all/1", value=lambda table: 3 - table["value"])
    of_loss = lab.compare(loss, metric="loss/all/1", solved=2.25)
    assert "onset" not in of_loss.shown()
    assert of_loss.reading()[0].startswith("Solved: runs that are at or below 2.25")
    assert of_loss.reading()[1].startswith("Difference:")


def test_a_descriptive_metric_has_no_better_direction() -> None:
    norms = frame().assign(metric="train/gradient_norm")
    table = lab.compare(norms, metric="train/gradient_norm")
    assert table.title == "gradient norm before clipping, last evaluation of each run"
    assert table.reading()[0] == "Difference: from n = 1, mean over pairs of seeds."
    with pytest.raises(LabError, match="neither more nor less is better"):
        lab.compare(norms, metric="train/gradient_norm", at="best")


def test_labels_follow_metric_seeds_and_pairs() -> None:
    few = lab.compare(frame(seeds=3))
    assert "In brackets: 90 % intervals (none below 5 seeds), by expanded percentile bootstrap over seeds." in few.reading()
    assert "[" not in few.shown()["mean [90 %]"].iloc[0]
    shares = "In brackets: 90 % intervals: exact ones of the share that {}, else by expanded percentile bootstrap over seeds{}."
    below = " (none below 5 seeds)"
    assert shares.format("emerged", below) in lab.compare(frame(seeds=3), at=0.4).reading(), "shares have one at any number"
    assert shares.format("solved it", below) in lab.compare(frame(seeds=3), solved=0.6).reading()
    assert shares.format("solved it", "") in lab.compare(frame(), solved=0.6).reading()
    apart = frame(seeds=6)[lambda rows: (rows["n_future"] == 1) | (rows["seed"] < 4)]
    assert below in lab.compare(apart).reading()[1], "no interval of the difference of four pairs"
    assert "of the pairs, exact. Holm: p corrected for this family of one comparison;" in few.reading()[-1]
    loss = frame().assign(metric="loss/all/1", value=lambda table: 3 - table["value"])
    assert lab.compare(loss, metric="loss/all/1").reading()[0].endswith("lower is better.")
    many = synthetic_frame([{"n_future": n} for n in VALUES], lambda own, seed, step: {METRIC: 0.01 * seed}, seeds=15)
    assert "over 16384 random flips" in lab.compare(many).reading()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "start"}, "at must be end, best, onset, completion or a number, the threshold, not 'start'"),
        ({"at": math.nan}, "at must be end"),
        ({"by": "width"}, r"the runs do not differ in 'model\.width'"),
        ({"metric": "accuracy/cpy/1"}, "no run has a metric"),
        ({"metric": "loss/all/1", "at": "onset"}, "rises to no threshold"),
        ({"at": "onset", "solved": 0.95}, "solved must be a number, and at end or best, not solved = 0.95 and at = onset"),
        ({"solved": math.nan}, "solved must be a number"),
    ],
    ids=str,
)
def test_bad_choices_are_rejected(options: dict[str, object], message: str) -> None:
    with pytest.raises(LabError, match=message):
        lab.compare(frame(), **options)  # type: ignore[arg-type]


def test_a_frame_of_several_tasks_needs_a_metric() -> None:
    both = pd.concat([frame(), frame().assign(task="recall", run=lambda table: "r" + table["run"])])
    with pytest.raises(LabError, match="the frame does not determine the metric"):
        lab.compare(both)


def test_csv_and_json_have_every_number_in_full(tmp_path: Path) -> None:
    table = lab.compare(frame())
    read = pd.read_csv(table.write(tmp_path / "t.csv"))
    assert read["difference"].tolist()[1] == table.frame["difference"][1]
    assert set(read["metric"]) == {METRIC}
    described = json.loads(table.write(tmp_path / "t.json").read_text())
    row = described["rows"][1]
    assert (row["difference"], row["p_holm"], row["pairs"], row["found"]) == (
        table.frame["difference"][1],
        table.frame["p_holm"][1],
        6,
        True,
    )
    assert described["rows"][0]["p_value"] is None
    assert (described["by"], described["baseline"], described["at"]) == (["n_future"], "n = 1", "end")
    with pytest.raises(LabError, match=r"must be a \.txt or \.md or \.tex or \.csv or \.json"):
        table.write(tmp_path / "t.png")


@pytest.mark.parametrize("suffix", FORMATS)
def test_notes_are_part_of_the_reading_guide(suffix: str) -> None:
    left_out = frame().assign(state=lambda table: np.where(table["run"] == "1-5", "stopped", "finished"))
    text = FORMATS[suffix](lab.compare(left_out))
    assert ("1 of 12 runs left out: 1-5 (stopped at step 100)" in text) == (suffix != ".csv")


def test_tables_of_text_are_aligned_and_escaped() -> None:
    table = pd.DataFrame({"name": ["a|b", "c"], "value": ["1.5 [1, 2]", "-"]})
    assert plain_table(table).splitlines() == ["name       value", "a|b   1.5 [1, 2]", "c              -"]
    assert markdown_table(table).splitlines()[1:3] == ["| --- | --: |", r"| a\|b | 1.5 [1, 2] |"]
    assert [decimals(values) for values in ([1.0, 0.1], [0.999], [0.012], [25.3], [1e6], [math.nan], [0.0], [1e-9])] == [
        *(3, 3, 4, 1, 0, 0, 0, 6)
    ]


SPECIAL = r"model_a & 50 % of $x$ #1 {b} ~ ^ \ <c> | [1] -- " + '"d"'


def test_latex_escapes_what_it_would_interpret() -> None:
    escaped = escape_latex("a_b & 50 % #1 $x$ {c} \\ ~^")
    assert escaped == r"a\_b \& 50~\% \#1 \$x\$ \{c\} \textbackslash{} \textasciitilde{}\textasciicircum{}"
    text = latex_table(pd.DataFrame({"n_future": ["[2]", "x_y"], "p": ["6.1e-05", "-0.5 [-1, 2e+06]"]}), "50 %", "tab:x")
    lines = text.splitlines()
    assert r"\caption{50~\%}" in lines
    assert r"n\_future & p \\" in lines
    assert r"{[}2{]} & $6.1 \times 10^{-5}$ \\" in lines, "a bracket after the end of a row would be its option"
    assert r"x\_y & $-0.5\;[-1, 2 \times 10^{6}]$ \\" in lines


def table_of_special_characters() -> str:
    return latex_table(pd.DataFrame({SPECIAL: [SPECIAL, "[2] b"], "p": ["6.1e-05", "-"]}), SPECIAL, "tab:nasty")


TABLES: dict[str, Callable[[], str]] = {
    "ends": lambda: lab.compare(frame()).latex(),
    "times": lambda: lab.compare(frame(), at="onset").latex(),
    "solved": lambda: lab.compare(frame(), solved=0.75).latex(),
    "few seeds": lambda: lab.compare(frame(seeds=2)).latex(),
    "special characters": table_of_special_characters,
}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.process
def test_latex_compiles(tmp_path: Path) -> None:
    body = "\n".join(table() for table in TABLES.values())
    (tmp_path / "t.tex").write_text(f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [line for line in done.stdout.splitlines() if line.startswith("Overfull")]
    assert len(wide) == 1, f"only the table of special characters may be too wide: {wide}"


def test_the_caption_states_values_that_all_rows_share() -> None:
    text = lab.compare(frame()).latex()
    assert r"condition & mean {[}90~\%{]} & difference {[}90~\%{]} & p & Holm & found \\" in text.splitlines()
    assert "In every row: runs 6, pairs 6, least 0.031." in text
