"""The sentences of the pages in results/ and of README.md have the numbers of the frames next to them."""

import re

import pandas as pd

from lab.reproduce import rates as rates_study
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.reproduce.fig7.plan import METRIC, RATE
from lab.stats.bootstrap import share_with_interval
from lab.stats.configurations import run_values
from lab.stats.emergence import emergence_table
from lab.stats.paired import ALPHA, Comparison, holm, least_p_of_runs, paired_comparison
from lab.stats.survival import survival_comparisons
from lab.stats.times import compare_emergence, time_table
from tests.helpers.published import (
    CASE,
    FRONT,
    LOG,
    RESULTS,
    SUMMARY,
    escapes,
    frame_of,
    report_rows,
    require,
    shown,
    span,
    text_of,
)


def medians(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the median time of each condition: the lower of the two middle runs, as in the tables, and their midpoint."""
    times = escapes(frame, [CONDITION])
    lower = time_table(times, "time", [CONDITION]).set_index(CONDITION)["median"]
    return lower, times.groupby(CONDITION)["time"].median()


def test_fig7_states_its_comparisons() -> None:
    text, frame = text_of("fig7"), frame_of("fig7")
    keys = ["size", RATE, "n_future", "seed"]
    best, loss = (
        run_values(frame, metric, rule).set_index(keys)["value"].sort_index()
        for metric, rule in ((METRIC, "best"), ("loss/all/1", "last"))
    )
    pairs = [("d32", 1.6e-2), ("d48", 1.6e-2), ("d64", 1.6e-2), ("d96", 8e-3), ("d96", 1.6e-2)]
    found = [paired_comparison(best[(*each, 1)], best[(*each, 2)]) for each in pairs]
    corrected = holm([each.p_value for each in found])

    def words(each: Comparison) -> str:
        return f"{each.difference:+.2f} [{each.low:+.2f}, {each.high:+.2f}]"

    for (size, rate), each, p_holm in zip(pairs, found, corrected, strict=True):
        cells = [words(each), f"{each.p_value:.2g}", f"{p_holm:.2g}", "yes" if p_holm <= ALPHA else "no"]
        assert re.search(
            rf"^\| {size} \| \d+k \| {shown(rate)}, [^|]+ \| {re.escape(' | '.join(cells))} \|", text, re.MULTILINE
        )
    own = paired_comparison(best["d96", 8e-3, 1], best["d96", 1.6e-2, 2])
    require(text, f"ahead of n = 1 at its own by {words(own)}")
    losses = [(loss[(*each, 2)] - loss[(*each, 1)]).mean() for each in pairs]
    require(text, f"differs by {losses[1]:.2f} (not found), {losses[2]:.2f} (found) and {losses[3]:.2f} nats (not found)")
    require(text, f"of n = 2 over all tokens is {losses[0]:.2f} nats larger")
    require(FRONT, f"({found[1].difference:+.2f} and {found[2].difference:+.2f} in accuracy)")
    require(FRONT, f"p = {corrected[1]:.2g} and {corrected[2]:.2g} after correction")


def test_fig7_states_its_tuning_and_costs() -> None:
    text, tuned = text_of("fig7"), pd.read_csv(RESULTS / "fig7" / "rates.csv")
    wide = tuned.pivot_table(index="size", columns=["n_future", RATE], values="mean")
    for size, row in (wide[2] - wide[1]).iterrows():
        require(text, f"| {size} | {' | '.join(f'{value:+.2f}' for value in row)} |\n")
    costs = report_rows("fig7", "Cost of n = 2 at equal tokens")
    flops, seconds = ([round(100 * float(row[name])) - 100 for row in costs] for name in ("FLOPs", "seconds"))
    stated = f"{', '.join(map(str, seconds[:3]))} and {seconds[3]} % more wall time"
    require(text, f"{min(flops)} to {max(flops)} % more FLOPs, and {stated}")
    require(SUMMARY, f"n = 2 spends {min(flops)} to {max(flops)} % more FLOPs")


def test_star_states_the_numbers_of_its_frame() -> None:
    text, frame = text_of("star"), frame_of("star")
    times = escapes(frame, ["arm"], "accuracy/turn/1")
    seen = {str(name): part["time_observed"].astype(bool).tolist() for name, part in times.groupby("arm")}
    one, two = (share_with_interval(seen[name]).split(" ", 3) for name in ("n = 1", "n = 2"))
    require(text, f"(share 0.50, 90 % Clopper-Pearson interval {one[3]})", f"(0.38 {two[3]}); log-rank")
    assert [(sum(each), len(each)) for each in (seen["n = 1"], seen["n = 2"])] == [(4, 8), (3, 8)]
    (row,) = survival_comparisons(times[times["arm"].isin(["n = 1", "n = 2"])], "time", "arm").to_dict("records")
    stated = f"{100 * row['later']:.0f} % longer (90 % interval {100 * row['low']:.0f} to +{100 * row['high']:.0f} %"
    require(text, f"log-rank p = {row['p_log_rank']:.2f}", f"{stated}, paired p = {row['p_paired']:.2f};")
    require(SUMMARY, f"3 of 8 models escape with it, 4 of 8 without (p = {row['p_log_rank']:.2f})")
    require(FRONT, f"8 seeds, p = {row['p_log_rank']:.2f}: [star](")
    ends = run_values(frame, "accuracy/turn/1").groupby("arm")["value"].mean()
    require(text, f"end is {ends['n = 1']:.2f} against {ends['n = 2']:.2f}", f"(shuffled) {sum(seen['n = 2, shuffled'])} of 8")
    stones = escapes(frame, ["arm"], "accuracy/follow/2", 0.95).groupby("arm")["time"]
    known, detached = stones.get_group("n = 2"), stones.get_group("n = 2, detached")
    require(text, f"after {known.min():.1f} to {known.max():.2f} M tokens")
    require(text, f"({detached.min():.2f} to {detached.max():.1f} M tokens)")


def test_agreement_states_the_escapes_of_its_frames() -> None:
    text, frame = text_of("agreement"), frame_of("agreement")
    times = escapes(frame, ["arm"])
    for name, part in times.groupby("arm"):
        if name not in ("n = 2", "n = 2, verb first"):
            require(text, f"| {name} | {share_with_interval(part['time_observed'].tolist())}")
    found = [row for row in report_rows("agreement", "Escape") if row["found"] == "yes"]
    assert {row["emerged_a"] + row["emerged_b"] for row in found} == {"08", "80"}, "the runs are apart as far as can be"
    p_value, p_holm = (f"{number * least_p_of_runs(8, 8):.1e}".replace("e-0", "e-") for number in (1, 10))
    require(text, f"test gives p = {p_value} against each condition, {p_holm} after Holm's correction for ten comparisons")
    require(SUMMARY, f"targets shuffled (p = {p_holm} corrected for ten comparisons, the least possible)")
    require(text, f"n = 1 ends at {report_rows('agreement', 'Runs')[0]['accuracy at the end']} on these 256")
    two = times.loc[times["arm"] == "n = 2", "time"]
    require(text, f"Two heads escape between {two.min():.1f} and {two.max():.1f} M tokens")
    known = escapes(frame[frame["arm"] == "n = 2"], ["arm"], "accuracy/case_first/2", 0.95)["time"]
    require(text, f"Head 2 knows the case after {span(known)} M tokens in each run")
    words = escapes(frame_of("agreement/two-words"), ["n_future"]).set_index("n_future")
    require(text, f"two heads escape, at {span(words.loc[2, 'time'])} M tokens, and end")
    late = words.loc[1][words.loc[1, "time_observed"].astype(bool)]["time"]
    require(text, f"one of them escapes, at {late.item():.1f} M tokens")
    longer = escapes(frame_of("agreement/longer"), ["n_future"])
    seen = longer.loc[longer["time_observed"].astype(bool), "time"]
    phrase = f"at {seen.min():.1f} to {seen.max():.1f} M tokens"
    require(text, f"**Seven of eight escape, {phrase}")
    require(SUMMARY, f"one head escapes {phrase} ({len(seen)} of 8)", f"escape the plateau within {two.max():.1f} M tokens")
    others = escapes(frame_of("rates"), [rates_study.HEADS, RATE])
    early = others.loc[(others[rates_study.HEADS] == 1) & (others["time"] < 3 * two.max()), "time"].sort_values()
    require(text, f"two of 40 runs of n = 1 escape sooner than that ({' and '.join(f'{time:.2f}' for time in early)} M)")


def test_agreement_states_what_patching_shows() -> None:
    patched = pd.read_csv(RESULTS / "agreement" / "patching.csv")
    after = patched[(patched["arm"] == "n = 2") & (patched["layers"] == 2)]
    other = sorted(after.loc[after["other"] > 0, "other"], reverse=True)
    assert (len(after), len(other)) == (8, 4)
    require(text_of("agreement"), f"in {', '.join(f'{share:.2f}' for share in other[:3])} and {other[3]:.2f} of sequences")
    words = pd.read_csv(RESULTS / "agreement" / "two-words" / "patching.csv").groupby("seed")["other"].max().sort_values()
    assert [f"{share:.2f}" for share in words[2:]] == ["1.00"] * 6
    require(
        text_of("agreement"), f"six of the models, {words.iloc[1]:.2f} for the seventh and {words.iloc[0]:.2f} for the eighth"
    )


def test_rates_states_what_its_best_rates_are() -> None:
    text, times = text_of("rates"), emergence_table(frame_of("rates"), CASE, thresholds={"escaped": 0.6}, by=["n_future", RATE])
    ratio = rates_study.compare(times)
    interval = f"90 % interval {ratio.low:.1f} to {ratio.high:.1f}"
    require(text, f"({interval}; exact sign-flip test of eight pairs, p = {ratio.p_value:.4f},")
    require(SUMMARY, f"needs {ratio.ratio:.1f} times as many tokens as two", f"({interval}, p = {ratio.p_value:.4f})")
    require(FRONT, f"needs {ratio.ratio:.0f} times", f"(90 % interval {ratio.low:.0f} to {ratio.high:.0f})")
    one, two = ({float(rate) for rate in rates_study.chosen(times, heads)[RATE]} for heads in (1, 2))
    assert (one, two) == ({2e-3}, {4e-3})
    require(text, "2e-3 for one head and 4e-3 for two, in all eight cases")


def test_epochs_states_how_the_advantage_changes() -> None:
    text, frame = text_of("epochs"), frame_of("epochs")
    changes = {row["family"]: row for row in report_rows("epochs", "How differences from the baseline at the end change")}
    small, large = (changes[f"{size} sequences"] for size in (2048, 8192))
    ends = frame.sort_values("step").groupby([FAMILY, CONDITION, "seed"])["value"].last().groupby([FAMILY, CONDITION]).mean()
    difference = ends.unstack(CONDITION)["n = 2"] - ends.unstack(CONDITION)["n = 1"]
    fresh = difference["fresh sequences"]
    for size in (2048, 512):
        require(text, f"({difference[f'{size} sequences'] - fresh:.2f} in accuracy at the end, corrected p = ")
    assert {float(row["p_holm"]) for row in changes.values()} == {float(small["p_least"])}
    require(
        text,
        f"corrected p = {float(small['p_holm']):.3f}, the least it can be",
        f"the other way ({float(large['change']):+.2f})",
    )
    one = ends.xs("n = 1", level=CONDITION)
    require(text, f"ends lower, at {one['8192 sequences']:.2f} against {one['fresh sequences']:.2f}")
    require(text, f"at {one['2048 sequences']:.2f} where a guess")


def test_finetune_states_when_an_added_head_escapes() -> None:
    text, frame = text_of("finetune"), frame_of("finetune")
    starts = frame[(frame["step"] == 0) & frame[CONDITION].isin(["n = 4, then 1", "n = 4, then 4"])]
    require(text, f"before the first step ({starts['value'].mean():.3f} in the mean)")
    lower, middle = medians(frame[frame[FAMILY] == "a head added"])
    added, new = "n = 2 from there", "n = 2 from the start"
    require(text, f"The median, {lower[added]:.2f} M tokens, is {lower[added] / lower[new]:.2f} times that")
    require(
        text, f"({middle[added] / middle[new]:.2f} times by the midpoints", f"a median {lower[added] / lower[new]:.2f} times"
    )
    require(SUMMARY, f"at {lower[added]:.2f} M tokens against {lower[new]:.2f} M with two heads")
    require(LOG, f"at most 1.5 times that of two heads from the start | {lower[added] / lower[new]:.2f} times |")
    tuned, later = (report_rows("finetune", f"{family}: escape at equal tokens") for family in ("fine-tuning", "a head added"))
    stated = f"{max(float(row['p_log_rank_holm']) for row in tuned):.1e}".replace("e-0", "e-")
    (p_added,) = (float(row["p_log_rank_holm"]) for row in later if row["condition"] == added)
    require(text, f"corrected p = {stated}, the least", f"and none without (corrected p = {p_added:.4f})")
    require(SUMMARY, f"(0 of 8 without, corrected p = {p_added:.4f})")


def test_s4_states_how_much_later_its_kinds_are() -> None:
    text, frame = text_of("s4"), frame_of("s4")
    lower, middle = medians(frame)
    late = [[round(100 * (each[kind] / each["parallel"] - 1)) for kind in ("linear", "residual")] for each in (lower, middle)]
    require(text, f"are {late[0][0]} and {late[0][1]} % later", f"midpoints it is {late[1][0]} and {late[1][1]} %")
    helped = [row for row in report_rows("s4", "kind of heads, n = 2: escape at equal tokens") if row["escaped"] == "8"]
    shares = sorted(-100 * float(row["later"]) for row in helped)
    assert len(helped) == 7
    require(text, f"{shares[0]:.0f} to {shares[-1]:.0f} % earlier than one head")
    (p_holm,) = {float(row["p_log_rank_holm"]) for row in helped}
    require(text, f"corrected p = {p_holm:.4f} each")
    kinds = lower[[row["condition"] for row in helped]]
    require(SUMMARY, f"at {span(kinds)} M tokens at the median", f"(corrected p = {p_holm:.4f} each)")
    bare = run_values(frame[frame[CONDITION] == "bare"], CASE)["value"].mean()
    require(text, f"they end at {bare:.2f}, above")


def test_objectives_state_their_intervals() -> None:
    text, times = text_of("objectives"), escapes(frame_of("objectives"), [CONDITION])
    shift = {name: compare_emergence(times, "sum", name, "time", CONDITION) for name in ("head depth", "joint", "headless")}
    for name, word in (("head depth", " earlier"), ("joint", ""), ("headless", "")):
        low, high = sorted(round(100 * abs(end)) for end in (shift[name].low, shift[name].high))
        interval = f"90 % interval {low} to {high} %" if name == "head depth" else f"({low} to {high} %"
        require(text, f"{interval}{word})")
    losses = pd.read_csv(RESULTS / "objectives" / "further_losses.csv")
    assert losses.loc[losses[CONDITION] == "hinge", "value"].max() < 0.00001
    require(text, "its loss ends below 0.00001 in all eight runs")
    bag = compare_emergence(times, "sum", "future bag, x V", "time", CONDITION)
    low, middle, high = (f"{100 * value:.0f} %" for value in (bag.low, bag.difference, bag.high))
    require(text, f"weight V {middle} later ({low.removesuffix(' %')} to {high})", f"weight V still {middle} later")


def test_sizes_states_its_costs_and_p() -> None:
    text, frame = text_of("sizes"), frame_of("sizes")
    costs = frame.loc[frame[CONDITION] == "n = 2", "cost"]
    require(text, f"a step has {span(costs)} times as many FLOPs")
    rows = report_rows("sizes", "4 layers, width 128: escape at equal tokens")
    p_holm = max(float(row["p_log_rank_holm"]) for row in rows if row["escaped"] == "8")
    require(text, f"corrected p = {p_holm:.1e} within a size".replace("e-0", "e-"))


def test_fig9_states_its_runs() -> None:
    text, frame = text_of("fig9"), frame_of("fig9")
    ends = frame[frame["step"] == frame["step"].max()].pivot_table(index="seed", columns=[FAMILY, CONDITION], values="value")
    forced, turns = ends["forced steps"], ends["turns"]
    four = forced["n = 4"].sort_values()
    few = pd.concat([forced["n = 1"], forced["n = 2"]])
    require(text, f"({span(four[:5])}), which {(few > 0.98).sum()} of the {len(few)} runs with one and two heads have above")
    assert (four > 0.95).sum() == 3
    known = turns.loc[four.index[5:], "n = 4"].sort_values(ascending=False)
    require(text, "at turns they are right in {:.2f}, {:.2f} and {:.2f}.".format(*known))
    more = turns["n = 2"] - turns["n = 1"]
    assert (more > 0).sum() == 7
    require(text, f"Seven of eight pairs have this sign, and the largest difference is {more.max():.2f}")
    rows = frame[(frame[FAMILY] == "turns") & (frame[CONDITION] == "n = 4")].groupby("step")["value"].mean()
    require(text, f"from {rows[1600]:.2f} at 1600 steps to {rows[2400]:.2f}")
    require(text, "two heads costs {:.2f} times that of one, and of four {:.2f}".format(*frame["cost"].drop_duplicates()[1:]))


def test_s5_states_its_spread_and_its_extremes() -> None:
    text, table = text_of("s5"), pd.read_csv(RESULTS / "s5" / "s5.csv").query("n > 1").set_index(["size", "vocabulary", "n"])
    ratio, low, high = (table[name] for name in ("time_ratio", "low", "high"))
    above, below = round(100 * (high / ratio - 1).max()), round(100 * (1 - low / ratio).max())
    require(text, f"quartiles reach {above} % above the medians and {below} % below")
    worst = "30M", 256, 2
    more, quarter, end = (f"{100 * (each[worst] - 1):.0f}" for each in (ratio, low, high))
    require(text, f"{more} % more, with quartiles of {quarter} to {end} %")
    small, large = (ratio[size, 8192, 4] for size in ("1M", "100M"))
    require(SUMMARY, f"{small:.1f} times a step of n = 1 at 1M parameters and {large:.2f} times at 100M")
    require(SUMMARY, f"with 256 tokens at most {ratio.xs(256, level='vocabulary').max():.2f} times")
