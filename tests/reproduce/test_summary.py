"""The table of findings and the log have the numbers of the frames."""

import re

import pandas as pd
import pytest

from lab.reproduce import fig9, reach, sizes
from lab.reproduce.agreement import PLATEAU
from lab.reproduce.alphabet import ESCAPED
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.reproduce.comparison.tables import end_table
from lab.reproduce.fig7.plan import METRIC, RATE
from lab.reproduce.objectives.conditions import BENCHES
from lab.stats.configurations import run_values
from lab.stats.paired import ALPHA
from lab.stats.times import time_table
from tests.helpers.published import (
    LOG,
    RESULTS,
    SUMMARY,
    end_of,
    escape_counts,
    escapes,
    frame_of,
    report_rows,
    require,
    shown,
    span,
)

TUNED = {"agreement": 8, "reach": 16, "fig7": 64}
"""Runs that chose a rate, which a frame does not have; those of the objectives are rows of their table."""
FOLDERS = {
    "objectives, stories": "objectives/stories",
    "objectives, star": "objectives/star",
    "agreement, terms": "agreement/terms",
}


def line_of(study: str) -> str:
    (line,) = [line for line in SUMMARY.splitlines() if line.startswith(f"| [{study}](")]
    return line


STUDIES = re.findall(r"^\| \[([^\]]+)\]\(", SUMMARY, re.MULTILINE)


@pytest.mark.parametrize("study", [each for each in STUDIES if each not in ("s2", "s3", "s5")])
def test_the_summary_counts_the_runs(study: str) -> None:
    name = FOLDERS.get(study, study)
    frame = frame_of(name)
    parts = [column for column in (FAMILY, "task") if column in frame and study != "fig9"]
    runs = len(frame.drop_duplicates([*parts, "run"]))
    if name.startswith("objectives"):
        runs += len(pd.read_csv(RESULTS / name / "rates.csv"))
    assert line_of(study).split(" | ")[2].removesuffix(" so far") == str(runs + TUNED.get(name, 0))


def test_tuning_runs_are_those_of_their_tables() -> None:
    tables = {name: pd.read_csv(RESULTS / name / "rates.csv") for name in TUNED}
    assert {name: int(table.get("seeds", pd.Series([1] * len(table))).sum()) for name, table in tables.items()} == TUNED


def test_the_summary_states_its_rules() -> None:
    require(SUMMARY, f"for the number of comparisons, is at most {ALPHA:.2f} (")
    threshold = f"passes {PLATEAU.escape_threshold} (in alphabet {ESCAPED}) at two evaluations in a row"
    require(SUMMARY, f"are possible ({PLATEAU.levels['key not resolved']:.2f} are right)", threshold)
    widths = sorted({family.settings["model.width"] for family in sizes.COMPARISON.families.values()})
    require(SUMMARY, "their models have width {1}, and in sizes also {0} and {2}.".format(*widths))


def test_the_summary_of_agreement_and_reach() -> None:
    two, end = escapes(frame_of("agreement"), ["arm"]), end_of(frame_of("agreement"))
    escaped = two.groupby("arm")["time_observed"].sum()
    without = {escaped[name] for name in ("n = 1", "n = 2, detached", "n = 2, shuffled")}
    require(
        line_of("agreement"),
        f"{escaped['n = 2']} of 8 models escape",
        f"against {without.pop()} of 8 within {end:.1f} M without it",
    )
    require(line_of("agreement"), f"untuned rate of {shown(min(PLATEAU.rates))}.")
    assert not without
    grid = frame_of("reach")
    times = escapes(grid[grid["stage"] == "grid"], [reach.DISTANCE, reach.HEADS])
    asked = times[reach.HEADS] > times[reach.DISTANCE]
    sides = [f"{part['time_observed'].sum()} of {len(part)}" for part in (times[asked], times[~asked])]
    ends = times.loc[~asked, "time"]
    require(line_of("reach"), f"within {span(ends, 1)} M tokens if and only if n >= d + 1: {sides[0]} against {sides[1]}, as")
    alone = escapes(grid[grid["stage"] == "alone"], [reach.DISTANCE, "trained"])
    found = alone.groupby("trained")["time_observed"].agg(["sum", "count"])
    met = [
        found.loc[[f"heads {heads}" for heads in names]].sum()
        for names in (("1 and 3 of 3", "1 and 4 of 4"), ("1 and 2 of 3", "1 to 3 of 4"))
    ]
    require(line_of("reach"), "decides ({} of {} against {} of {})".format(*(number for each in met for number in each)))
    terms = escapes(frame_of("agreement/terms"), ["asked"])
    seen, every = terms["time_observed"].sum(), terms.groupby("asked")["time_observed"].sum()
    asked_runs, others = 8 * (every > 0).sum(), 8 * (every == 0).sum()
    require(
        line_of("agreement, terms"), f"{seen} of {asked_runs} runs that are asked", f"0 of {others} others within {end:.1f} M"
    )
    require(
        LOG,
        "all eight models with one head were to stay on the plateau | One of eight escapes, at {:.1f} M".format(
            escapes(frame_of("agreement/two-words"), ["n_future"]).query("n_future == 1 and time_observed")["time"].item()
        ),
    )
    longer = escape_counts("agreement/longer", ["n_future"])
    require(LOG, f"three times the steps: 1 to 4 of 8 runs were to escape | {longer[1]} of 8 |")


def test_the_summary_of_comparisons_at_distance_one() -> None:
    of_size = escape_counts("sizes", [FAMILY, CONDITION])
    asked = ("n = 2", "one head, case at the key")
    wide = {key: count for key, count in of_size.items() if "width 32" not in key[0]}
    runs = [8 * len([key for key in wide if (key[1] in asked) == side]) for side in (True, False)]
    every, none = (sum(count for key, count in wide.items() if (key[1] in asked) == side) for side in (True, False))
    assert (every, none) == (runs[0], 0)
    narrow = [of_size["4 layers, width 32", name] for name in asked]
    require(
        line_of("sizes"),
        f"all {runs[0]} runs that are asked",
        f"none of {runs[1]} others within {end_of(frame_of('sizes')):.1f} M tokens",
    )
    require(line_of("sizes"), f"({narrow[0]} of 8 runs with n = 2, {narrow[1]} of 8 with one head)")
    require(LOG, f"at least 5 of 8 seeds | {narrow[0]} of 8 with n = 2, {narrow[1]} of 8 with one head |")
    require(LOG, f"for want of a layer for the second half of the look-up | {of_size['2 layers, width 64', 'n = 2']} of 8 |")
    kinds = escape_counts("s4", [CONDITION])
    all_runs = [name for name, count in kinds.items() if count == 8]
    assert (len(all_runs), kinds["bare"]) == (7, 0)
    require(
        line_of("s4"),
        "seven kinds escape the plateau of agreement in 8 of 8 runs,",
        f"against {kinds['n = 1']} of 8 with one head",
    )
    require(
        line_of("s4"),
        f"within {end_of(frame_of('s4')):.1f} M (corrected",
        f"**sequential heads in {kinds['sequential']} of 8, against",
    )
    require(LOG, f"at most a quarter later than parallel ones | {kinds['sequential']} of 8; 30 and 40 % later at the median")
    stages = escape_counts("finetune", [FAMILY, CONDITION])
    both = {stages["fine-tuning", name] for name in ("n = 4, then 1", "n = 4, then 4")}
    frame = frame_of("finetune")
    tuned = end_of(frame[frame[FAMILY] == "fine-tuning"])
    one, added = stages["fine-tuning", "n = 1, then 1"], stages["a head added", "n = 2 from there"]
    require(line_of("finetune"), f"{both.pop()} of 8 models know the case", f"{one} of 8 that come from one head")
    require(line_of("finetune"), f"learn it within {tuned:.1f} M tokens", f"on the plateau brings {added} of 8 off it")
    assert not both
    sets = escape_counts("epochs", [FAMILY, CONDITION])
    large, small = (([sets[f"{size} sequences", f"n = {n}"] for n in (2, 1)]) for size in (8192, 2048))
    require(line_of("epochs"), f"with 8192 sequences ({large[0]} of 8 runs escape, {large[1]} of 8 with one head)")
    require(line_of("epochs"), f"({small[0]} of 8 with either), within {end_of(frame_of('epochs')):.1f} M tokens")
    assert small[0] == small[1]
    require(LOG, f"escape in at least 7 of 8 seeds | {small[0]} of 8, as with one head; on 8192 sequences {large[0]} of 8 |")


def test_the_summary_of_alphabet() -> None:
    frame, line = frame_of("alphabet"), line_of("alphabet")
    medians, spelled = {}, {}
    for name, part in frame.groupby(FAMILY):
        times = escapes(part, [CONDITION], str(part["metric"].iloc[0]), ESCAPED)
        medians[name] = time_table(times, "time", [CONDITION]).set_index(CONDITION)["median"].dropna()
        spelled = {str(key): int(count) for key, count in times.groupby(CONDITION)["time_observed"].sum().items()}
    assert spelled["n = 3"] == spelled["n = 4"]
    require(line, f"n = 3 and 4 escape in {spelled['n = 3']} of 8 runs, n = 1 in {spelled['n = 1']}, as expected")
    require(line, f"**n = 2 in {spelled['n = 2']}, against the expectation**")
    tokens, symbols = medians.values()
    assert (symbols.idxmin(), tokens.idxmin()) == ("n = 4", "n = 3")
    stated = "four heads have the earliest median ({:.2f} M symbols against {:.2f} M and {:.2f} M), in tokens three ({:.2f} M)"
    require(line, stated.format(*symbols.sort_values(), tokens.min()))
    require(LOG, f"two heads were to escape in at most 1 of 8 seeds | {spelled['n = 2']} of 8 |")
    ratios = symbols / tokens / 2
    require(LOG, "twice as many sequences when spelled | {:.1f}, {:.1f} and {:.1f} times with n = 2, 3 and 4 |".format(*ratios))


def test_the_summary_of_names() -> None:
    frame = frame_of("s14")
    ends = run_values(frame.assign(run=frame[FAMILY] + frame["run"]), METRIC)
    means = ends.groupby([FAMILY, CONDITION])["value"].mean().unstack()
    ahead = means["n = 2"] - means["n = 1"]
    widths = {
        data: [f"width {width}, {data}" for width in (48, 64)]
        for data in ("fixed names", "one fresh in ten", "nine fresh in ten")
    }
    fixed, one, nine = widths.values()
    require(line_of("s14"), "n = 2 on stories ({:+.2f} and {:+.2f} at widths 48 and 64".format(*ahead[fixed]))
    require(line_of("s14"), "only copying predicts: {:+.2f} and {:+.2f}, each found; no change is found".format(*ahead[nine]))
    single = [means["n = 1"][b] - means["n = 1"][a] for a, b in zip(fixed, nine, strict=True)]
    less = ahead[fixed[0]] - ahead[nine[0]]
    require(LOG, "| {:+.2f} and {:+.2f}; {:+.2f} and {:+.2f}; {:.2f} less |".format(*single, *ahead[nine], less))
    means_of_both = (ahead[each].mean() for each in (one, fixed, nine))
    require(LOG, "| {:+.2f} in the mean of both widths, against {:+.2f} and {:+.2f} |".format(*means_of_both))
    frame = frame_of("fig7")
    parameters = [f"{value / 1e3:.0f}k" for value in frame.drop_duplicates("size")["parameters"]]
    line = line_of("fig7")
    require(
        line,
        "at {1} and {2} parameters and not at {0}; at {3} it depends".format(*parameters),
        f"At {parameters[1]} the tuning runs",
    )
    best, last = (
        run_values(frame, METRIC, rule).groupby(["size", RATE, "n_future"])["value"].mean().unstack()
        for rule in ("best", "last")
    )
    small = best.loc[("d32", 1.6e-2)]
    changes = [each.loc[("d32", 1.6e-2)].diff().iloc[-1] for each in (best, last)]
    require(
        LOG,
        f"| {changes[0]:+.2f}, not found ({changes[1]:+.2f} at the last epoch, found); both stay low, at "
        f"{small[1]:.2f} and {small[2]:.2f} |",
    )
    large = best.loc[("d96", 8e-3)].diff().iloc[-1]
    rows = report_rows("fig7", f"n = 2 against n = 1: `{METRIC}`, best evaluation")
    (p,) = (float(row["p_holm"]) for row in rows if row["optimiser.peak_lr"] == "0.008")
    require(LOG, f"at the rate of n = 1 | {large:+.2f}, not found (corrected p = {p:.2f}) |")


def test_the_summary_of_the_maze() -> None:
    frame = frame_of("fig9")
    ends = frame[frame["step"] == frame["step"].max()].groupby([FAMILY, CONDITION])["value"].mean().unstack()
    family = fig9.COMPARISON.families["turns"]
    rows = end_table(family, frame[frame[FAMILY] == "turns"]).set_index("condition")
    assert rows["found"].all()
    four = rows.loc["n = 4", ["difference", "low", "high"]].to_dict()
    line = line_of("fig9")
    require(line, "(turns {difference:+.2f} [{low:+.2f}, {high:+.2f}], walks".format(**four))
    walks = ends.loc["sampled walks"]
    require(line, f"reach the goal {walks['n = 4']:.2f} against {walks['n = 1']:.2f})")
    two, p = rows.loc["n = 2", ["difference", "p_holm"]]
    require(line, f"ahead by {two:.2f} at turns (corrected p = {p:.3f})", f"within {frame['step'].max()} steps")
    require(LOG, f"Four are behind by {-four['difference']:.2f}, two ahead by {two:.2f}, both found")
    names = ("detours", "forced steps", "sampled walks", "walks, right way at turns imposed")
    require(LOG, "four have {:.2f}, {:.2f}, {:.2f} and {:.2f}".format(*ends.loc[list(names), "n = 4"]))


def test_the_summary_of_objectives_and_stars() -> None:
    escaped = escape_counts("objectives", [CONDITION])
    every = {name for name, count in escaped.items() if count == 8}
    assert every == {"head depth", "joint", "sum", "headless", "future bag, x V"}
    assert {count for name, count in escaped.items() if name not in every} == {escaped["bag"], 0}
    line = line_of("objectives")
    p = max(float(row["p_log_rank_holm"]) for row in report_rows("objectives", "agreement: escape at equal tokens"))
    require(line, f"escape in {escaped['sum']} of 8 runs, the bag in {escaped['bag']}, the others in none", f"at most {p:.3f})")
    require(line, f"escapes within {end_of(frame_of('objectives')):.1f} M tokens")
    known = {row["condition"]: row for row in report_rows("objectives", "agreement: head 2 knows the case, asked at the key")}
    stated = known["sequential"]["head 2 knows it"].split(" [")[0]
    require(line, f"know the case at the key in {stated} runs")
    require(
        LOG, f"as the sum does | {escaped['sequential']} of 8, though their second head knows the case at the key in {stated} |"
    )
    rest = [escaped[name] for name in ("bag", "order", "hinge", "future bag")]
    require(
        LOG,
        "the last two in doubt | {}, {}, {} and {} of 8; `future_bag` times V escapes in {} |".format(
            *rest, escaped["future bag, x V"]
        ),
    )
    assert escaped["registers"] == escaped["next latent"] == 0
    for task in ("stories", "star"):
        require(line_of(f"objectives, {task}"), f"within {end_of(frame_of(f'objectives/{task}')):.2f} M tokens")
    star = BENCHES["star"]
    solved = escape_counts("objectives/star", [CONDITION], star.metric, star.solved or 1)
    none = {solved[name] for name in ("future bag", "next latent", "masked inputs")}
    rest = [solved[name] for name in ("next token", "sum", "sequential", "coarse", "shuffled")]
    require(LOG, f"in 2 to 5 | {none.pop()} of 8 each; {{}}, {{}}, {{}}, {{}} and {{}} |".format(*rest))
    assert not none
    least = min(float(row["p_log_rank_holm"]) for row in report_rows("objectives/star", "star: escape at equal tokens"))
    require(LOG, f"None found; the least corrected p is {least:.2f}, of head depth and joint |")
    first = escape_counts("star", ["arm"], "accuracy/turn/1")
    (p,) = (row["p_log_rank"] for row in report_rows("star", "Escape") if (row["a"], row["b"]) == ("n = 1", "n = 2"))
    require(
        LOG,
        f"| {first['n = 2']} of 8 escape with two heads, {first['n = 1']} of 8 with one (p = {float(p):.2f}): not confirmed",
    )
    require(LOG, f"learnt in 8 of 8 runs and head 1 escapes in {first['n = 2']} of them")


def test_the_log_repeats_the_plans_of_two_objectives() -> None:
    star, stories = (BENCHES[name] for name in ("star", "stories"))
    steps, hours = re.findall(r"plan was (\d+) steps of 32 sequences, (\d+) hours", stories.expectation)[0]
    require(
        LOG, f"on stories: {steps} steps were planned", f"taken {hours} hours: shortened to {stories.settings['steps']} steps"
    )
    plan = r"plan was (\d+) node ids, (\d) layers and ([\d,]+) steps, (\d+) hours"
    ids, layers, long, hours = re.findall(plan, star.expectation)[0]
    require(LOG, f"on star: {long} steps with {ids} ids and {layers} layers were planned")
    own = [star.settings[name] for name in ("task.nodes", "model.layers", "steps")]
    require(LOG, f"have taken {hours} hours: shortened to {own[0]} ids, {own[1]} layers, {own[2]} steps")
