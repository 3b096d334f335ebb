"""The objectives on stories: the page has the numbers of the frame beside it."""

import pandas as pd

from lab.reproduce.comparison.plan import CONDITION
from lab.reproduce.comparison.tables import end_table, times_of
from lab.reproduce.objectives.conditions import BENCHES, SUM, family_of
from lab.reproduce.objectives.page import sections_of
from lab.reproduce.objectives.plan import best_rates
from lab.stats.configurations import run_values
from tests.helpers.published import RESULTS, SUMMARY, frame_of, report_rows, require, require_sections, text_of

NAME, TASK = "objectives/stories", "stories"
FAMILY = family_of(TASK)


def rates() -> pd.DataFrame:
    return pd.read_csv(RESULTS / NAME / "rates.csv")


def rows(heading: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table of the report by condition."""
    return {row["condition"]: row for row in report_rows(NAME, f"{TASK}: {heading}")}


def test_the_report_follows_from_its_files() -> None:
    require_sections(NAME, sections_of(frame_of(NAME), rates()))


def test_the_table_has_the_numbers_of_the_frame() -> None:
    frame = frame_of(NAME)
    ends = {row["condition"]: row for row in end_table(FAMILY, frame).to_dict("records")}
    means = run_values(frame, FAMILY.metric).groupby(CONDITION)["value"].mean()
    escaped = times_of(FAMILY, frame).groupby(CONDITION)["escaped_observed"].sum()
    expected = []
    for name in sorted(FAMILY.conditions, key=lambda each: (-escaped[each], -means[each])):
        difference, low, high = (ends.get(name, {}).get(key, 0.0) for key in ("difference", "low", "high"))
        shown = "-" if name == SUM else f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        expected.append(f"| {name} | {escaped[name]} of 8 | {means[name]:.2f} | {shown} |\n")
    require(text_of("objectives"), "".join(expected))


def test_the_sentences_have_the_numbers_of_the_report() -> None:
    text, ends = text_of("objectives"), rows(f"{FAMILY.label} at the end")
    assert {row["found"] for row in ends.values()} == {"no"}
    assert all(float(row["difference"]) < 0 for row in ends.values())
    behind = {name for name, row in ends.items() if float(row["difference"]) < -0.1}
    assert behind == {name for name, row in ends.items() if float(row["high"]) < 0}
    assert len(behind) == 12
    require(text, f"the least corrected p is {float(ends['bag']['p_least']):.2f}.")

    later = rows("escape at equal tokens")
    found = {name: float(row["p_log_rank_holm"]) for name, row in later.items() if row["found"] == "yes"}
    assert set(found) == {"sequential", "future bag, x V"}
    require(text, *{f"(corrected p = {p:.3f} each)" for p in found.values()})
    at_equal_flops = rows("escape at equal FLOPs")
    assert {name for name, row in at_equal_flops.items() if row["found"] == "yes"} == {*found, "registers"}
    registers = at_equal_flops["registers"]
    share, low, high = (f"{100 * float(registers[key]):.0f}" for key in ("later", "low", "high"))
    require(text, f"{share} % later (90 % interval {low} to {high} %, corrected p = {float(registers['p_log_rank_holm']):.3f})")
    cost = float(rows("runs, and the rate")["registers"]["FLOPs of a step"])
    require(text, f"whose step costs {cost:.1f} times that of next token")

    chosen = best_rates(rates())
    at_the_edge = {name for name, rate in chosen.items() if rate == max(BENCHES[TASK].rates)}
    assert (len(at_the_edge), len(chosen), "next token" in at_the_edge) == (7, 15, True)
    tokens = frame_of(NAME)["tokens"].max() / 1e6
    require(
        text, f"{BENCHES[TASK].settings['steps']} steps of {BENCHES[TASK].settings['batch_size']} sequences, {tokens:.2f} M"
    )


def test_the_summary_has_the_numbers_of_the_report() -> None:
    runs, later = rows("runs, and the rate"), rows("escape at equal tokens")
    escaped = {name: row["escaped"].split(" of ")[0] for name, row in runs.items()}
    p = float(later["sequential"]["p_log_rank_holm"])
    require(
        SUMMARY,
        f"sequential heads ({escaped['sequential']} of 8 runs) and the bag with weight V ({escaped['future bag, x V']}) "
        f"copy later than the sum ({escaped[SUM]}; corrected p = {p:.3f} each)",
    )
