"""The objectives on stories and on star: the page has the numbers of the frames beside it."""

import pandas as pd
import pytest

from lab.reproduce.comparison.plan import CONDITION
from lab.reproduce.comparison.tables import end_table, times_of
from lab.reproduce.objectives.conditions import BENCHES, SUM, family_of
from lab.reproduce.objectives.page import sections_of
from lab.reproduce.objectives.plan import best_rates
from lab.stats.configurations import run_values
from tests.helpers.published import RESULTS, SUMMARY, end_of, frame_of, report_rows, require, require_sections, text_of

TEXT = text_of("objectives")
SOLVED_IN_MOST = ("head depth", "joint", "future bag", "next latent", "masked inputs")
SOLVED_IN_SOME = ("next token", SUM, "sequential", "coarse", "shuffled")
"""Conditions of which the expectation on star names how many of eight runs solve it: 6 to 8, and 2 to 5."""


def folder(task: str) -> str:
    return f"objectives/{task}"


def rates(task: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / folder(task) / "rates.csv")


def rows(task: str, heading: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table of the report by condition."""
    return {row["condition"]: row for row in report_rows(folder(task), f"{task}: {heading}")}


def counts(task: str, which: str) -> dict[str, int]:
    """Return the number of runs of each condition that escaped or solved the task."""
    times = times_of(family_of(task), frame_of(folder(task)))
    return {str(name): int(count) for name, count in times.groupby(CONDITION)[f"{which}_observed"].sum().items()}


@pytest.mark.parametrize("task", ["stories", "star"])
def test_the_report_follows_from_its_files(task: str) -> None:
    require_sections(folder(task), sections_of(frame_of(folder(task)), rates(task)))


@pytest.mark.parametrize("task", ["stories", "star"])
def test_the_table_has_the_numbers_of_the_frame(task: str) -> None:
    frame, family = frame_of(folder(task)), family_of(task)
    ends = {row["condition"]: row for row in end_table(family, frame).to_dict("records")}
    means = run_values(frame, family.metric).groupby(CONDITION)["value"].mean()
    escaped, expected = counts(task, "escaped"), []
    solved = {} if family.solved is None else counts(task, "solved")
    for name in sorted(family.conditions, key=lambda each: (-escaped[each], -means[each])):
        cells = [f"{escaped[name]} of 8", f"{means[name]:.2f}"]
        if solved:
            wanted = "6 to 8" if name in SOLVED_IN_MOST else "2 to 5" if name in SOLVED_IN_SOME else "-"
            cells = [wanted, f"{solved[name]} of 8", *cells]
        difference, low, high = (ends.get(name, {}).get(key, 0.0) for key in ("difference", "low", "high"))
        shown = "-" if name == SUM else f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        expected.append(f"| {' | '.join([name, *cells, shown])} |\n")
    require(TEXT, "".join(expected))


@pytest.mark.parametrize("task", ["stories", "star"])
def test_the_text_has_the_length_of_the_runs(task: str) -> None:
    settings, tokens = BENCHES[task].settings, end_of(frame_of(folder(task)))
    require(TEXT, f"{settings['steps']} steps of {settings['batch_size']} sequences, {tokens:.2f} M")


def test_the_sentences_on_stories_have_the_numbers() -> None:
    ends = rows("stories", f"{BENCHES['stories'].label} at the end")
    assert {row["found"] for row in ends.values()} == {"no"}
    assert all(float(row["difference"]) < 0 for row in ends.values())
    behind = {name for name, row in ends.items() if float(row["difference"]) < -0.1}
    assert behind == {name for name, row in ends.items() if float(row["high"]) < 0}
    assert len(behind) == 12
    require(TEXT, f"the least corrected p is {float(ends['bag']['p_least']):.2f}.")

    later = rows("stories", "escape at equal tokens")
    found = {name: float(row["p_log_rank_holm"]) for name, row in later.items() if row["found"] == "yes"}
    assert set(found) == {"sequential", "future bag, x V"}
    require(TEXT, *{f"(corrected p = {p:.3f} each)" for p in found.values()})
    at_equal_flops = rows("stories", "escape at equal FLOPs")
    assert {name for name, row in at_equal_flops.items() if row["found"] == "yes"} == {*found, "registers"}
    registers = at_equal_flops["registers"]
    share, low, high = (f"{100 * float(registers[key]):.0f}" for key in ("later", "low", "high"))
    require(TEXT, f"{share} % later (90 % interval {low} to {high} %, corrected p = {float(registers['p_log_rank_holm']):.3f})")
    cost = float(rows("stories", "runs, and the rate")["registers"]["FLOPs of a step"])
    require(TEXT, f"whose step costs {cost:.1f} times that of next token")

    chosen = best_rates(rates("stories"))
    at_the_edge = {name for name, rate in chosen.items() if rate == max(BENCHES["stories"].rates)}
    assert (len(at_the_edge), len(chosen), "next token" in at_the_edge) == (7, 15, True)


def test_the_sentences_on_star_have_the_numbers() -> None:
    solved, escaped = counts("star", "solved"), counts("star", "escaped")
    held = {name for name in SOLVED_IN_MOST if solved[name] >= 6} | {name for name in SOLVED_IN_SOME if 2 <= solved[name] <= 5}
    assert held == {"head depth", "joint"}
    assert {solved[name] for name in held} == {6}
    assert {solved[name] for name in SOLVED_IN_MOST if name not in held} == {0}
    assert {solved[name] for name in SOLVED_IN_SOME} == {0, 1}
    shown = {name: escaped[name] for name in ("joint", "head depth", "hinge", SUM, "next token", "sequential")}
    assert shown == {"joint": 7, "head depth": 7, "hinge": 6, SUM: 4, "next token": 1, "sequential": 0}
    assert max(count for name, count in escaped.items() if name not in shown) == 3
    assert solved["hinge"] == 0
    (most,) = {solved[name] for name in held}
    require(
        TEXT,
        f"The sum itself escapes in {escaped[SUM]} of 8 runs",
        f"hold*: head depth and joint solve in {most} of 8 runs.",
        f"knows it in 8 of 8 runs as well, and head 1 escapes in {escaped[SUM]}.",
        f"need the look-up in the trunk, and head 1 escapes in {escaped['joint']} each.",
        f"escapes in {escaped['hinge']} of 8 here, where the order of token kinds",
        f"solve in none within {frame_of(folder('star'))['tokens'].max() / 1e6:.2f} M tokens; next token",
        "coarse and shuffled solve in {} or {} where 2 to 5".format(*sorted({solved[name] for name in SOLVED_IN_SOME})),
    )

    tokens, flops = (rows("star", f"escape at equal {unit}") for unit in ("tokens", "FLOPs"))
    ends = rows("star", f"{BENCHES['star'].label} at the end")
    assert {row["found"] for table in (tokens, flops, ends) for row in table.values()} == {"no"}
    least, at_flops = (min(float(row["p_log_rank_holm"]) for row in table.values()) for table in (tokens, flops))
    require(TEXT, f"(least corrected p {least:.2f}; {at_flops:.2f} at equal FLOPs)")
    require(TEXT, f"(least attainable corrected p {float(ends[SOLVED_IN_MOST[0]]['p_least']):.2f})")
    assert {name for name, row in tokens.items() if round(float(row["p_log_rank_holm"]), 2) == round(least, 2)} == held
    depth, joint = (f"{-100 * float(tokens[name]['later']):.0f} %" for name in ("head depth", "joint"))
    require(TEXT, f"differences of head depth and joint, {depth} and {joint} earlier")

    stones = rows("star", "head 2 knows")
    known = {name: stones[name]["head 2 knows it"].split(" [")[0] for name in (SUM, "sequential")}
    assert set(known.values()) == {"8 of 8"}
    first = set(stones["sequential"]["M tokens, each seed"].split())
    earliest = min(float(time) for row in stones.values() for time in row["M tokens, each seed"].split() if time != "-")
    assert first == {f"{earliest:.2f}"}
    require(TEXT, f"at {earliest:.2f} M tokens in 8 of 8 runs")

    tuned = rates("star")
    chosen, times = best_rates(tuned), tuned.groupby(CONDITION)["time"]
    assert (sum(rate == max(BENCHES["star"].rates) for rate in chosen.values()), len(chosen)) == (8, 16)
    assert (times.min() == tuned["time"].max()).sum() == 12


def test_the_summary_has_the_numbers_of_the_reports() -> None:
    runs, later = rows("stories", "runs, and the rate"), rows("stories", "escape at equal tokens")
    escaped = {name: row["escaped"].split(" of ")[0] for name, row in runs.items()}
    p = float(later["sequential"]["p_log_rank_holm"])
    require(
        SUMMARY,
        f"sequential heads ({escaped['sequential']} of 8 runs) and the bag with weight V ({escaped['future bag, x V']}) "
        f"copy later than the sum ({escaped[SUM]}; corrected p = {p:.3f} each)",
    )
    escapes = counts("star", "escaped")
    p = float(rows("star", "escape at equal tokens")["joint"]["p_log_rank_holm"])
    require(
        SUMMARY,
        f"head depth and joint heads escape in {escapes['joint']} of 8 runs each and the sum in {escapes[SUM]}: "
        f"**no difference is found** (corrected p = {p:.2f})",
    )
