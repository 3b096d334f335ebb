"""The page on path-star graphs at equal depth has the numbers of the frame beside it."""

from lab.reproduce.comparison.page import power_table
from lab.reproduce.comparison.plan import CONDITION
from lab.reproduce.comparison.tables import end_table, escape_table, times_of
from lab.reproduce.star_again import COMPARISON
from lab.stats.configurations import run_values
from tests.helpers.published import FRONT, ROOT, SUMMARY, end_of, frame_of, require, text_of

TEXT, FRAME = text_of("star_again"), frame_of("star_again")
(STAR,) = COMPARISON.families.values()
TIMES = times_of(STAR, FRAME)
ESCAPED, SOLVED = (TIMES.groupby(CONDITION)[f"{which}_observed"].sum() for which in ("escaped", "solved"))
ONE, *TWO = STAR.conditions


def test_the_table_of_differences_has_the_numbers() -> None:
    means = run_values(FRAME, STAR.metric).groupby(CONDITION)["value"].mean()
    rows = escape_table(STAR, FRAME, "tokens").to_dict("records")
    for row in rows:
        name, (later, low, high) = row["condition"], (round(-100 * row[key]) for key in ("later", "high", "low"))
        cells = [name, f"{later} % ({low} to {high})", f"{row['p_log_rank_holm']:.2g}", f"{means[name]:.2f}"]
        require(TEXT, f"| {' | '.join([*cells, f'{SOLVED[name]} of 16'])} |\n")
    assert [row["found"] for row in rows] == [True] * 3
    assert (SOLVED[ONE], f"{means[ONE]:.2f}") == (0, "0.61")
    require(TEXT, "no run of n = 1 solves it, and their accuracy at the end is 0.61.")
    require(TEXT, f"({rows[-1]['p_log_rank_least']:.2g} is the least that this can give)")
    require(TEXT, f"(corrected p at most {end_table(STAR, FRAME)['p_holm'].max():.2g})")


def test_the_sentences_have_the_numbers() -> None:
    seen = TIMES[TIMES["escaped_observed"].astype(bool)].assign(one=lambda rows: rows[CONDITION] == ONE)
    last, first = (seen.loc[seen["one"] == side, "escaped"] / 1e6 for side in (False, True))
    require(TEXT, f"escape do so within {last.max():.2f} M tokens, and with one head not before {first.min():.2f} M.")
    require(
        TEXT,
        f"{STAR.settings['steps']} steps ({end_of(FRAME):.2f} M tokens)",
        f"({min(COMPARISON.seeds)} to {max(COMPARISON.seeds)})",
    )
    cost = FRAME.groupby(CONDITION)["cost"].first()
    require(TEXT, f"and {100 * cost[TWO[-1]] - 100:.1f} % more FLOPs than n = 1")
    require(TEXT, f"{ESCAPED[TWO[0]] - ESCAPED[ONE]} more do, and it is found")
    _, quarter, half = power_table(STAR, FRAME)["least share found"]
    require(TEXT, f"a share of {half} or more with a probability of 0.8, and {quarter} if a quarter does")
    depth = times_of(STAR, frame_of("star").rename(columns={"arm": CONDITION})).groupby(CONDITION)["escaped_observed"].sum()
    require(TEXT, f"four layers escaped in {depth['n = 1, depth of n = 2']} of 8 runs, with five in {depth['n = 1']} of 8.")


def test_the_summaries_have_the_numbers() -> None:
    rows = escape_table(STAR, FRAME, "tokens").set_index("condition").loc[TWO]
    counts = [ESCAPED[name] for name in TWO]
    require(SUMMARY, "{} of 16 runs escape with a head of one layer, {} with a linear one, {} with head depth".format(*counts))
    earlier = [round(-100 * later) for later in rows["later"]]
    p_values = [f"{p:.2g}" for p in rows["p_log_rank_holm"]]
    stated = "against {} with one head ({}, {} and {} % earlier, corrected p = {}, {} and {})"
    require(SUMMARY, stated.format(ESCAPED[ONE], *earlier, *p_values))
    require(FRONT, f"{min(counts)} to {max(counts)} of 16 runs escape with a second head in three forms, {ESCAPED[ONE]} of 16")
    require(FRONT, f"corrected p at most {max(rows['p_log_rank_holm']):.2g}: [star_again]")
    heads = (ROOT / "docs/heads.md").read_text(encoding="utf-8")
    one_layer, _, depth = counts
    require(heads, f"plateau in {depth} of 16 runs](", f"its own on the last in {one_layer}, and one head in {ESCAPED[ONE]}.")
