"""The pages in results/ follow from the frames next to them, with the current code."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.reports.markdown import READING
from lab.reports.section import Section, markdown_table
from lab.reproduce import agreement, fig7, reach, star
from lab.reproduce import rates as rates_study
from lab.reproduce.comparison.plan import CONDITION
from lab.reproduce.comparison.tables import times_of
from lab.reproduce.fig7.page import by_rates, findings, own_rate_sections, sections_of, tuning_sections
from lab.reproduce.fig7.plan import best_rates
from lab.reproduce.objectives.conditions import SUM, family_of
from lab.reproduce.objectives.page import sections_of as objective_sections
from lab.reproduce.plateau.configuration import Plateau
from lab.reproduce.plateau.page import rate_heading, tables_of
from lab.reproduce.plateau.plan import rate_table
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_comparisons
from lab.stats.times import describe_time, time_table
from lab.sweeping.spec.files import load
from tests.helpers.published import RESULTS, ROOT, SUMMARY, frame_of, page_of, require_sections, text_of

SWEEPS = ROOT / "sweeps"


@pytest.mark.parametrize("study", [star.PLATEAU, agreement.PLATEAU], ids=lambda study: study.name)
def test_every_table_of_a_study_follows_from_its_frame(study: Plateau) -> None:
    page = page_of(study.name)
    tables = tables_of(study, frame_of(study.name))
    assert len(tables) >= 4
    for heading, table in tables.items():
        assert f"## {heading}\n\n{markdown_table(table)}\n" in page


def test_agreement_follows_from_its_files() -> None:
    folder, study = RESULTS / "agreement", agreement.PLATEAU
    page = page_of("agreement")
    tables = {each.heading: each.summarise(pd.read_csv(folder / each.file)) for each in study.measurements}
    tables[rate_heading(study)] = rate_table(pd.read_csv(folder / "rates.csv"))
    assert len(tables) == 2
    for heading, table in tables.items():
        assert f"## {heading}\n\n{markdown_table(table)}\n" in page


def test_agreement_states_the_ratio_of_its_frames() -> None:
    """The ratio is of median tokens to escape, n = 1 in `longer` to n = 2, with a bootstrap interval over the runs of each."""

    def escapes(path: Path) -> np.ndarray:
        frame = pd.read_csv(path)
        frame = frame[frame["arm"] == "n = 2"] if "arm" in frame else frame
        times = emergence_table(frame, agreement.PLATEAU.metric, thresholds={"escape": agreement.PLATEAU.escape_threshold})
        return times["escape"].to_numpy(float)

    one, two = (escapes(RESULTS / "agreement" / name) for name in ("longer/frame.csv.gz", "frame.csv.gz"))
    rng = np.random.default_rng(0)
    drawn = [np.median(rng.choice(times, (20_000, 8)), axis=1) for times in (one, two)]
    low, high = np.quantile(drawn[0] / drawn[1], [0.05, 0.95])
    text = text_of("agreement")
    stated = f"a ratio of {np.median(one) / np.median(two):.1f}, 90 % bootstrap interval [{low:.1f}, {high:.1f}]"
    assert stated in text
    assert f"needs {one.min() / two.max():.1f} times as many tokens as the latest run with it" in text


def test_agreement_states_the_clipping_of_its_file() -> None:
    clipping = pd.read_csv(RESULTS / "agreement" / "clipping.csv")
    shares = 100 * clipping.groupby("arm")["clipped_400"].median()
    n1, n2, shuffled, detached = (f"{shares[arm]:.0f} %" for arm in ("n = 1", "n = 2", "n = 2, shuffled", "n = 2, detached"))
    text = text_of("agreement")
    assert f"{n2} of the steps with n = 2, {shuffled} with shuffled targets, {n1} with n = 1 and {detached} with" in text


def test_s5_states_the_ratios_of_its_measurement() -> None:
    text = text_of("s5")
    table = pd.read_csv(RESULTS / "s5" / "s5.csv")
    for size, part in table[table["n"] > 1].groupby("size"):
        ratios = {(row.vocabulary, row.n): f"{row.time_ratio:.2f} ({row.flops_ratio:.2f})" for row in part.itertuples()}
        cells = [ratios.get((vocabulary, n), "") for vocabulary in (256, 8192) for n in (2, 4)]
        assert "|".join(f" {cell} " if cell else " " for cell in cells) in text, size
    others = table[table["n"] > 1]
    near = (others["time_ratio"] / others["flops_ratio"]).sub(1).abs() <= 0.05
    assert f"In {near.sum()} of {len(near)} cases the time is within 5 % of the FLOPs" in text


@pytest.mark.parametrize("name", ["agreement", "fig7", "star"])
def test_every_page_explains_how_to_read_its_tables(name: str) -> None:
    page = page_of(name)
    assert f"## How to read the tables\n\n{READING.format(sequences=256)}\n" in page
    assert page.count("p_least") >= 1
    assert page.count("found") >= 1


def test_published_studies_state_how_many_sequences_measure_them() -> None:
    """They are 256, whatever the default of a task becomes: the numbers of published runs must not change."""
    published = [stage.largest for study in (star, agreement, fig7) for stage in study.STUDY.stages("laptop")]
    published += [load(SWEEPS / f"{name}.yaml") for name in ("longer", "two_words")]
    assert [sweep.base["evaluation.examples"] for sweep in published] == [256] * len(published)


def test_every_table_of_fig7_follows_from_its_frame_and_rates() -> None:
    named, chances = (pd.read_csv(RESULTS / "fig7" / name) for name in ("frame.csv.gz", "rates.csv"))
    order = list(named.sort_values("parameters")["size"].unique())
    named = named.assign(size=pd.Categorical(named["size"], categories=order, ordered=True))
    rates = best_rates("laptop", chances)
    of_rate = by_rates(named, rates)
    sections = [*sections_of(of_rate), *own_rate_sections(of_rate, rates), *tuning_sections(chances, rates)]
    assert len(sections) == 16
    require_sections("fig7", sections)


def test_fig7_claims_no_best_rate_where_none_was_chosen() -> None:
    named, chances = (pd.read_csv(RESULTS / "fig7" / name) for name in ("frame.csv.gz", "rates.csv"))
    small = named[named["size"] == "d32"].assign(size=lambda each: pd.Categorical(each["size"]))
    (line,) = findings({1: by_rates(small, best_rates("laptop", chances))[1]}, 1e-4)
    assert line.startswith("At a rate of 0.0001, which was not tuned, n = 2 is worse at d32 (")


def test_agreement_states_the_effect_of_each_term_of_the_loss() -> None:
    """Rows of the page's table of terms and the p-values of its text agree with the frame next to it."""
    frame = frame_of("agreement/terms")
    text = text_of("agreement")
    times = emergence_table(frame, agreement.PLATEAU.metric, thresholds={"escape": 0.6}, by=["asked"])
    assert len(times) == 64
    for condition, part in times.groupby("asked"):
        escaped = part["escape_observed"].astype(bool)
        tokens = part["escape"] / 1e6
        stated = f"{tokens.min():.2f} to {tokens.max():.2f}" if escaped.all() else f"not by {tokens.min():.2f}"
        (row,) = re.findall(rf"^\| {re.escape(str(condition))} \|.*$", text, re.MULTILINE)
        assert row.endswith(f"| {escaped.sum()} of 8 | {stated} |")
    compared = survival_comparisons(times, "escape", "asked", baseline="one head")
    assert len(compared) == 7
    found = compared[compared["found"]]
    assert len(found) == 4
    assert (found["p_log_rank_holm"] == found["p_log_rank_least"]).all()
    assert f"p = {found['p_log_rank'].max():.1e}".replace("e-0", "e-") in text
    assert f"{found['p_log_rank_holm'].max():.1e} after Holm".replace("e-0", "e-") in text


def test_reach_follows_from_its_files() -> None:
    rates = pd.read_csv(RESULTS / "reach" / "rates.csv")
    sections = reach.sections_of(frame_of("reach"), rates)
    assert len(sections) == 4
    require_sections("reach", sections)
    assert reach.best_rate(rates) == 2e-3


def test_reach_states_the_numbers_of_its_frame() -> None:
    text = text_of("reach")
    frame = frame_of("reach")
    by = [reach.DISTANCE, reach.HEADS]
    times = emergence_table(frame[frame["stage"] == "grid"], reach.METRIC, thresholds={"escaped": reach.ESCAPED}, by=by)
    expected = [reach.expected(*each) for each in zip(times[reach.DISTANCE], times[reach.HEADS], strict=True)]
    assert times["escaped_observed"].tolist() == expected
    assert (sum(expected), len(expected)) == (112, 160)
    latest, ends = times[expected]["escaped"].max() / 1e6, times[[not each for each in expected]]["escaped"] / 1e6
    assert f"by {latest:.2f} M tokens at the latest" in text
    assert f"within {ends.min():.1f} to {ends.max():.1f} M" in text
    alone = reach.alone_table(frame)
    for row in alone.to_dict("records"):
        escaped = str(row["escaped"]).split(" [")[0]
        assert re.search(rf"^\| {row['d']} \| {row['trained']} \| (yes|no) \| {escaped} \|$", text, re.MULTILINE)
    medians = reach.escapes(frame).set_index(["d", "n"])["median M tokens"]
    assert f"{', '.join(medians[0, n] for n in range(1, 5))} and {medians[0, 5]} M tokens" in text
    assert f"{medians[3, 4]} and {medians[3, 5]} M" in text


@pytest.fixture(scope="module")
def objectives() -> list[Section]:
    """Return the sections that follow from the files of the objectives."""
    return objective_sections(frame_of("objectives"), pd.read_csv(RESULTS / "objectives" / "rates.csv"))


def test_objectives_follow_from_their_files(objectives: list[Section]) -> None:
    assert len(objectives) == 7
    require_sections("objectives", objectives)


def test_objectives_state_the_numbers_of_their_frame(objectives: list[Section]) -> None:
    text, frame, family = text_of("objectives").split("\n## On ")[0], frame_of("objectives"), family_of("agreement")
    times = time_table(times_of(family, frame), "escaped", [CONDITION]).set_index(CONDITION)
    rows = re.findall(r"^\| ([\w ,]+?)(?: \(.*\)|, the paper's)? \| .* \| \**(\d) of 8\** \| (.*) \|$", text, re.MULTILINE)
    assert {name: int(escaped) for name, escaped, _ in rows} == times["escaped"].to_dict()
    medians = {name: f"{median / 1e6:.2f}" for name, median in times["median"].items() if median > 0}
    assert {name: median for name, _, median in rows if median != "-"} == medians
    tables = [section.table for section in objectives if "escape at equal" in section.title]
    compared, at_equal_flops = (table.set_index("condition") for table in tables if table is not None)
    for table in (compared, at_equal_flops):
        assert table["found"].all()
        for name, later in table.loc[["head depth", "joint", "headless"], "later"].items():
            shift = f"{round(100 * abs(later))} % {'earlier' if later < 0 else 'later'}"
            assert re.search(rf"{name}\D{{0,10}}{shift}", text, re.IGNORECASE)
    assert f"corrected p at most {compared['p_log_rank_holm'].max():.3f}" in text
    never = compared[compared["escaped"] == 0]
    assert f"{never['p_log_rank_holm'].max():.4f} for every condition that does not escape" in text
    known = frame[(frame[CONDITION] == "sequential") & (frame["metric"] == "accuracy/case_first/2")].drop(columns="reached")
    known_times = emergence_table(known, "accuracy/case_first/2", thresholds={"known": family.escaped or 0}, by=[CONDITION])
    assert known_times["known_observed"].all()
    assert f"at {known_times['known'].min() / 1e6:.2f} to {known_times['known'].max() / 1e6:.2f} M tokens" in text
    losses = pd.read_csv(RESULTS / "objectives" / "further_losses.csv")
    assert losses.loc[losses[CONDITION] == "hinge", "value"].max() < 0.001
    assert SUM not in compared.index


def test_rates_follow_from_their_frame() -> None:
    require_sections("rates", rates_study.sections_of(frame_of("rates")))


def test_rates_state_what_their_frame_has() -> None:
    """The table of escapes, the ratio at each one's best rate, and the rate at which most runs of one head escape."""
    frame = frame_of("rates")
    text = text_of("rates")
    times = emergence_table(
        frame, rates_study.METRIC, thresholds={"escaped": rates_study.ESCAPED}, by=[rates_study.HEADS, rates_study.RATE]
    )
    rows = time_table(times, "escaped", [rates_study.HEADS, rates_study.RATE]).to_dict("records")
    found = {
        (str(row[rates_study.HEADS]), f"{row[rates_study.RATE]:g}"): (
            str(row["escaped"]),
            describe_time(row)["median M tokens"],
        )
        for row in rows
    }
    stated = re.findall(r"^\| (\d) \| (\S+) \| \**(\d) of 8\** \| (\S+) \|$", text, re.MULTILINE)
    assert {(n, rate): (escaped, median) for n, rate, escaped, median in stated} == found
    ratio = rates_study.compare(times)
    assert f"{ratio.ratio:.1f} times as many tokens (90 % interval {ratio.low:.1f} to {ratio.high:.1f}" in text
    escapes = times.groupby(rates_study.HEADS)["escaped_observed"].sum()
    assert f"Two heads escape in {escapes[2]} of 40 runs at rates from 3e-4 to 8e-3, one head in {escapes[1]} of 40" in SUMMARY
    one, two = (
        times[times[rates_study.HEADS] == 1],
        times[(times[rates_study.HEADS] == 2) & times[rates_study.RATE].isin([1e-3, 2e-3, 4e-3])],
    )
    assert f"({one['escaped'].min() / 1e6:.2f} M tokens) is later than every run of two heads at 1e-3 to 4e-3" in text
    assert f"(at most {two['escaped'].max() / 1e6:.2f} M)" in text
