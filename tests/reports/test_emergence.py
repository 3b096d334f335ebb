import itertools
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab.errors import LabError
from lab.reports.emergence import across, report, report_cases, summary_table
from lab.reports.section import Section
from tests.helpers.runs import make_run

METRIC = "accuracy/copy/1"


def times(onset_2: list[float], observed: bool = True) -> pd.DataFrame:
    rows = [
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "onset": onset, "onset_observed": True, "completion": 9e5,
         "completion_observed": observed}
        for n, column in ((1, [1e5 + 1e3 * seed for seed in range(6)]), (2, onset_2))
        for seed, onset in enumerate(column)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write_runs(folder: Path, task: str, metric: str) -> list[lab.Run]:
    """Write runs with n = 1 and n = 2 on five seeds each, whose metric rises; it is higher with n = 2."""
    runs = []
    for n, seed in itertools.product((1, 2), range(5)):
        curve = {step: {metric: 0.01 * step + 0.1 * (n - 1) + 1e-4 * seed} for step in (0, 20, 40, 60, 80)}
        runs.append(make_run(folder / f"n{n}-seed{seed}", lab.experiment(task, n_future=n, seed=seed), curve))
    return runs


def test_times_that_no_run_reached_are_not_averaged() -> None:
    table = times([2e5] * 6, observed=False)
    rows = table[["run", "n_future", "seed"]].assign(step=1, metric=METRIC, value=0.5)
    shown = summary_table(rows, METRIC, table)
    assert shown["90 % reached after (thousands of tokens)"].tolist() == ["-"] * 2
    assert shown["runs that reach 90 %"].tolist() == ["0 of 6 [0.00, 0.39]"] * 2
    assert shown["runs that reach 50 %"].tolist() == ["6 of 6 [0.61, 1.00]"] * 2
    assert shown["seeds"].tolist() == [6, 6]


@pytest.mark.parametrize(
    ("task", "metric", "words"),
    [
        ("agreement", "accuracy/case_first/1", "accuracy on the first case marker (next token) reaches 50 % after"),
        (
            "markov",
            "kl/bayes",
            "at the end divergence from the bayes predictor is 0.1 nats higher with n = 2 than with n = 1",
        ),
        ("addition", "exact", "fraction of correct answers reaches 50 % after"),
    ],
)
def test_a_page_uses_the_words_of_its_task(task: str, metric: str, words: str, tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", task, metric)
    found = report(runs, tmp_path, "lab demo --out x")
    page = found.page.read_text()
    assert words.lower() in found.sentence.lower()
    assert task in page
    assert "nduction" not in page
    assert "copying" not in page
    for text in (
        "lab demo --out x",
        "0123abc",
        'href="emergence.csv"',
        "fewer layers to the trunk",
        "p-value of the exact test",
        f"{runs[0].experiment.evaluation.examples} sequences; the intervals do not cover their choice",
    ):
        assert text in page
    assert found.table["seeds"].tolist() == [5, 5]
    assert across(found.table).columns.tolist() == ["", "n = 1", "n = 2"]
    assert across(found.table)["n = 2"].tolist() == found.table.iloc[1, 1:].tolist()


def test_stopped_runs_are_left_out_and_diverged_ones_count(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", "induction", METRIC)
    for run, state in zip(runs, ("stopped", "diverged"), strict=False):
        record = run.path / "run.json"
        record.write_text(record.read_text().replace('"finished"', f'"{state}"'))
    found = report(lab.open_runs([tmp_path / "runs"]), tmp_path)
    assert found.table["seeds"].tolist() == [4, 5]
    assert found.table["runs that reach 50 %"][0].startswith("3 of 4"), "a diverged run does not reach the threshold"
    page = found.page.read_text()
    assert "1 of 10 runs left out: n1-seed0 (stopped at step 80). Diverged, so that they never get there" in page
    assert "no value at the end: n1-seed1." in page


def test_a_condition_without_an_end_value_has_a_dash() -> None:
    table = times([2e5] * 6)
    rows = table[["run", "n_future", "seed"]].assign(step=1, metric=METRIC, value=0.5)
    rows.loc[rows["n_future"] == 2, "value"] = float("nan")
    assert summary_table(rows, METRIC, table).iloc[:, -1].tolist() == ["0.500 [0.500, 0.500]", "-"]


def test_a_report_of_mixed_runs_is_rejected(tmp_path: Path) -> None:
    for width in (32, 64):
        experiment = lab.experiment("induction", {"model.width": width}, n_future=1)
        make_run(tmp_path / f"w{width}", experiment, {step: {METRIC: 0.5} for step in (0, 20)})
    with pytest.raises(LabError, match=r"runs with n = 1 differ in model\.width"):
        report(lab.open_runs([tmp_path]), tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_tasks_share_a_page_and_keep_their_own_figures(tmp_path: Path) -> None:
    metrics = {"agreement": "accuracy/case_first/1", "induction": METRIC}
    cases = {task: write_runs(tmp_path / "runs" / task, task, metric) for task, metric in metrics.items()}
    found = report_cases(cases, tmp_path, "lab demo", [Section("What next", "`lab runs`")])
    page = (tmp_path / "index.html").read_text()
    for task, each in found.items():
        assert each.figure == tmp_path / f"{task}-emergence.png"
        assert each.figure.is_file()
        assert f'href="{task}-emergence.csv"' in page
        assert f'href="runs/{task}/"' in page
        assert each.sentence.split(" (")[0] in page
        assert f"On {task} the trunk" in page
    assert page.index("What next") < page.index("<h2>Runs</h2>")
