"""The page about any runs has the numbers of the statistics and the words of its tasks, and pools nothing."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab.reports.overview import Origin, progress_sentence, sections_of
from lab.reports.section import Link, Section, render_html, render_markdown
from lab.runs.names import headline
from lab.runs.status import Status, read_statuses
from lab.stats.emergence import emergence_table
from tests.helpers.runs import make_run

STEPS = range(0, 101, 20)


def write_run(
    path: Path, task: str, seed: int, values: Sequence[float], state: str = "finished", **settings: object
) -> lab.Run:
    named = {name.replace("__", "."): value for name, value in settings.items()}
    experiment = lab.experiment(task, {"steps": 100, "schedule.warmup_steps": 0, "seed": seed, **named})
    name = headline(experiment)
    return make_run(path, experiment, {step: {name: value} for step, value in zip(STEPS, values, strict=False)}, state=state)


def grid(folder: Path, task: str, seeds: int = 6) -> Path:
    """Write runs of one task with n = 1, 2 and two widths; n = 2 ends higher in every pair."""
    for n, width, seed in itertools.product((1, 2), (32, 64), range(seeds)):
        values = [0.002 * seed + 0.02 * i + 0.1 * (n - 1) * (i > 2) for i in range(6)]
        write_run(folder / f"n{n}-w{width}-{seed}", task, seed, values, n_future=n, model__width=width)
    return folder


def page_of(folder: Path, **more: object) -> tuple[str, list[Section]]:
    return sections_of(read_statuses(folder), Origin(folder.parent, "lab report x"), **more)  # type: ignore[arg-type]


def find_section(sections: Sequence[Section], title: str) -> Section:
    (found,) = [section for section in sections if section.title == title]
    return found


@pytest.mark.parametrize("task", ["agreement", "addition", "markov"])
def test_a_page_uses_the_words_of_its_task(task: str, tmp_path: Path) -> None:
    title, sections = page_of(grid(tmp_path / "runs", task, seeds=2))
    page = render_html(title, sections)
    assert title == f"{task}: 8 runs"
    assert lab.experiment(task).task.summary.split("'")[0] in page
    assert "opying" not in page
    assert "nduction" not in page.replace("measures.induction", "")
    assert page.count("data:image/png;base64,") >= 1
    assert page.startswith("<!doctype html>")


def test_runs_that_differ_are_conditions(tmp_path: Path) -> None:
    _, sections = page_of(grid(tmp_path / "runs", "induction"))
    ends = find_section(sections, "Values at the end").table
    assert ends is not None
    assert ends[["n_future", "model.width"]].to_numpy().tolist() == [["1", "32"], ["1", "64"], ["2", "32"], ["2", "64"]]
    assert ends["finished"].tolist() == ["6 of 6"] * 4
    assert ends["at the end"].str.startswith(("0.105", "0.205")).all()
    curves = find_section(sections, "Learning curves").numbers
    assert curves is not None
    assert set(curves["condition_seeds"]) == {6}


def test_no_condition_is_best_without_a_direction(tmp_path: Path) -> None:
    for n, seed in itertools.product((1, 2), range(2)):
        experiment = lab.experiment("induction", {"steps": 100, "seed": seed, "n_future": n})
        curve = {step: {headline(experiment): 0.5, "train/gradient_norm": n / step} for step in (50, 100)}
        make_run(tmp_path / f"runs/n{n}-{seed}", experiment, curve)
    _, sections = page_of(tmp_path / "runs", metric="train/gradient_norm")
    assert not [section for section in sections if section.title == "Best configuration"]
    ends = find_section(sections, "Values at the end").table
    assert ends is not None
    assert ends["at the end"].tolist() == ["0.010, 0.010 (2 seeds)", "0.020, 0.020 (2 seeds)"]


def test_runs_of_two_tasks_have_separate_sections(tmp_path: Path) -> None:
    grid(tmp_path / "runs/a", "induction", seeds=2)
    grid(tmp_path / "runs/b", "markov", seeds=2)
    title, sections = page_of(tmp_path / "runs")
    assert title == "induction, markov: 16 runs"
    for task in ("induction", "markov"):
        ends = find_section(sections, f"{task}: values at the end").table
        assert ends is not None
        assert len(ends) == 4


def test_conditions_that_omit_a_setting_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match=r"differ in model\.width and not in the seed alone"):
        page_of(grid(tmp_path / "runs", "induction", seeds=2), by=["n_future"])


def test_an_unknown_metric_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match="no run has a metric 'accuracy/copi/1'; did you mean 'accuracy/copy/1'"):
        page_of(grid(tmp_path / "runs", "induction", seeds=2), metric="accuracy/copi/1")


def test_comparisons_are_those_of_the_statistics(tmp_path: Path) -> None:
    folder = grid(tmp_path / "runs", "induction")
    _, sections = page_of(folder)
    shown = find_section(sections, "Paired comparisons")
    assert shown.numbers is not None
    frame = lab.frame(lab.open_runs(folder))
    expected = lab.compare(frame, "n_future", within="model.width").frame
    numbers = ["mean", "pairs", "difference", "low", "high", "p_value", "p_holm", "p_least", "found"]
    pd.testing.assert_frame_equal(shown.numbers[numbers], expected[numbers])
    assert expected["found"].sum() == 2, "six pairs of one sign"
    assert "A difference is found in 2 of 2 comparisons: n = 2 against n = 1 (width = 32), +0.1" in shown.text
    assert shown.table is not None
    assert len(shown.table) == 4


def test_the_first_of_the_named_settings_is_compared(tmp_path: Path) -> None:
    _, sections = page_of(grid(tmp_path / "runs", "induction"), by=["model.width", "n_future"])
    assert "No difference is found in 2 comparisons." in find_section(sections, "Paired comparisons").text


def test_conditions_without_a_partner_are_not_listed(tmp_path: Path) -> None:
    folder = grid(tmp_path / "runs", "induction", seeds=2)
    write_run(folder / "alone", "induction", 0, [0.1] * 6, n_future=1, model__width=128)
    shown = find_section(page_of(folder)[1], "Paired comparisons")
    assert shown.table is not None
    assert set(shown.table["within"]) == {"width = 32", "width = 64"}
    assert "nor could be: with so few seeds the corrected p is at least 1; fewer than 5 pairs say little" in shown.text


def test_a_difference_without_pairs_has_no_size(tmp_path: Path) -> None:
    for n, seeds in ((1, range(5)), (2, range(5)), (3, range(10, 15))):
        for seed in seeds:
            write_run(tmp_path / f"runs/{n}-{seed}", "induction", seed, [0.0] * (6 - 2 * n) + [0.9] * 2 * n, n_future=n)
    text = " ".join(section.text for section in page_of(tmp_path / "runs")[1])
    assert "n = 2 against n = 1, -50 % of tokens, n = 3 against n = 1, without a size in pairs of seeds." in text
    assert "nan" not in text


def test_times_and_survival_are_of_all_runs(tmp_path: Path) -> None:
    for n, seed in itertools.product((1, 2), range(5)):
        passed = 2 if n == 2 else 4
        values = [0.1] * passed + [0.95] * (6 - passed) if seed or n == 2 else [0.1] * 6
        write_run(tmp_path / f"runs/n{n}-{seed}", "induction", seed, values, n_future=n)
    _, sections = page_of(tmp_path / "runs")
    survival = find_section(sections, "Survival").numbers
    assert survival is not None
    assert survival.groupby("condition")["share"].min().to_dict() == {"n = 1": pytest.approx(0.2), "n = 2": 0.0}
    ends = find_section(sections, "Values at the end").table
    assert ends is not None
    assert ends["reach 50 %"].str[:6].tolist() == ["4 of 5", "5 of 5"]
    times = emergence_table(lab.frame(lab.open_runs(tmp_path / "runs")), "accuracy/copy/1")
    expected = times.loc[times["n_future"] == 2, "onset"].mean() / 1000
    assert ends["k tokens to 50 %"].tolist() == ["-", f"{expected:,.0f}"]
    assert "0.1, 0.95" not in ends["at the end"].iloc[0]
    (of_times,) = [each for each in sections if "Training tokens until" in each.text]
    assert of_times.numbers is not None
    assert of_times.numbers["later"].iloc[1] == pytest.approx((5 * 2) / (4 * 4 + 5) - 1)


def test_unfinished_and_failed_runs_are_named(tmp_path: Path) -> None:
    states = {"finished": 6, "running": 3, "diverged": 2, "stopped": 1, "failed": 4}
    for seed, (state, points) in enumerate(states.items()):
        write_run(tmp_path / f"runs/{state}", "induction", seed, [0.1] * points, state=state)
    (tmp_path / "runs/odd").mkdir()
    (tmp_path / "runs/odd/run.json").write_text("{}")
    _, sections = page_of(tmp_path / "runs")
    assert sections[0].text == "6 runs: 1 finished, 1 failed, 1 diverged, 1 killed, 1 stopped, 1 damaged."
    assert sections[0].share is None, "no run is in training"
    missing = find_section(sections, "Runs without a result").table
    assert missing is not None
    assert dict(missing[["run", "state"]].to_numpy()) == {
        "running": "killed",
        "diverged": "diverged",
        "stopped": "stopped",
        "failed": "failed",
        "odd": "damaged",
    }
    assert "not the record of a run" in missing.set_index("run").loc["odd", "why"]
    ends = find_section(sections, "Values at the end").table
    assert ends is not None
    assert ends["finished"].tolist() == ["1 of 4"], "a failed run does not count in a condition"


def test_progress_counts_runs_that_have_not_begun(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "induction", 0, [0.1, 0.1, 0.1])
    half = {0: 0.0, 20: 2.0, 40: 4.0}
    going = Status("a", "running", 80, run, run.metrics(), half)
    assert progress_sentence([going], 3) == "3 runs: 1 running, 2 waiting; about 20 s left"
    _, sections = sections_of([going], Origin(tmp_path, "lab watch a", 3, refresh=5))
    assert sections[0].share == pytest.approx(0.5 / 3)
    assert "This page reloads every 5 s" in sections[0].text


def test_a_page_needs_no_measurement(tmp_path: Path) -> None:
    write_run(tmp_path / "runs/a", "induction", 0, [0.1], state="stopped")
    write_run(tmp_path / "runs/b", "induction", 1, [], state="stopped")
    title, sections = page_of(tmp_path / "runs")
    assert "No figure yet: no run has an evaluation after step 0 yet." in render_html(title, sections)
    waiting = [Status(f"seed{seed}", "waiting", 100) for seed in range(2)]
    title, sections = sections_of(waiting, Origin(tmp_path, "x"))
    assert title == "Runs: 2 runs"
    assert "2 runs: 2 waiting" in render_markdown(title, sections)


def test_only_the_best_of_many_conditions_are_drawn(tmp_path: Path) -> None:
    for number in range(20):
        values = [0.01 * number + 0.01 * i for i in range(6)]
        write_run(tmp_path / f"runs/{number}", "induction", 0, values, optimiser__peak_lr=1e-3 * (number + 1))
    _, sections = page_of(tmp_path / "runs")
    curves = find_section(sections, "Learning curves")
    assert curves.numbers is not None
    assert curves.numbers["mean"].groupby(curves.numbers["condition"]).last().min() == pytest.approx(0.13)
    assert "The best 12 of 20 conditions" in curves.text
    assert "peak lr = 0.02" in find_section(sections, "Best configuration").text


def test_a_page_states_its_origin(tmp_path: Path) -> None:
    title, sections = page_of(grid(tmp_path / "ru ns", "induction", seeds=1))
    for page in (render_html(title, sections), render_markdown(title, sections)):
        for words in ("lab report x", "0123abc", f"{datetime.now():%Y-%m-%d}", "ru%20ns/n1-w32-0/metrics.csv"):
            assert words in page


def test_hostile_names_are_escaped() -> None:
    table = pd.DataFrame({"<b>": ["<script>", Link("<i>", 'a"b')], "": ["`x` <u>", "[a](b)"]}, dtype=object)
    page = render_html("<t>", [Section("<h>", "<p>", table=table, folded=True)])
    for tag in ("<script>", "<i>", "<u>", "<b>", "<t>", "<h>", '"a"b"'):
        assert tag not in page, tag
    assert 'href="a&quot;b"' in page
    assert "[a](b)" in page, "a cell is not rendered as Markdown"


def test_a_bar_in_a_name_is_no_column_of_markdown() -> None:
    page = render_markdown("t", [Section(table=pd.DataFrame({"a|b": ["c|d"], "e": [Link("f|g", "h")]}, dtype=object))])
    assert page.split("\n")[2:5] == [r"| a\|b | e |", "| --- | --- |", r"| c\|d | [f\|g](h) |"]
