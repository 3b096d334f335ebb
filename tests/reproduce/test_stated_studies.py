"""The sentences on rates, distances, names, stars, tasks, drafts and costs have the numbers of the files beside them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy

import lab
from benchmarks import sizes as steps_by_size
from lab.reproduce import rates, reach
from lab.reproduce.agreement import PLATEAU as AGREEMENT
from lab.reproduce.atlas.effects import effects_of
from lab.reproduce.fig7.plan import METRIC, RATE, SCALES, best_rates
from lab.reproduce.objectives.conditions import BENCHES, CONDITIONS
from lab.reproduce.star import PLATEAU as STAR
from lab.stats.bootstrap import share_with_interval
from lab.stats.configurations import run_values
from lab.stats.paired import ALPHA
from lab.stats.times import time_table
from tests.helpers.published import LOG, RESULTS, SUMMARY, end_of, escapes, frame_of, report_rows, require, shown, span, text_of


def listed(values: Iterable[float], form: str = "{:.2f}") -> str:
    """Return numbers as a list in a sentence."""
    *others, last = (form.format(value) for value in values)
    return f"{', '.join(others)} and {last}"


def test_reach_states_its_counts() -> None:
    text, frame = text_of("reach"), frame_of("reach")
    times = escapes(frame[frame["stage"] == "grid"], [reach.DISTANCE, reach.HEADS])
    asked = times[reach.HEADS] > times[reach.DISTANCE]
    combinations = times.groupby([asked, reach.DISTANCE, reach.HEADS]).size().groupby(level=0).size()
    require(text, f"**All {len(times)} runs are as expected.**", f"(past {reach.ESCAPED} twice in a row)")
    require(text, f"In the {combinations[True]} combinations with n >= d + 1 all {asked.sum()} models escape")
    require(text, f"in the {combinations[False]} others none of {(~asked).sum()} does")
    every, none = (share_with_interval([each] * 8).split(" [")[1].rstrip("]").replace(", ", " to ") for each in (True, False))
    require(text, f"8 of 8 has a 90 % interval of {every} and 0 of 8 one of {none}.")
    require(text, f"within {frame['step'].max()} steps **if and only if")
    longer = escapes(frame_of("agreement/longer"), [reach.HEADS])
    first = span(longer.loc[longer["time_observed"].astype(bool), "time"], 1)
    require(
        text, f"one head at d = 1 escapes at {first} M tokens", f"rate {shown(min(AGREEMENT.rates))}), and these runs end at"
    )
    end = end_of(frame[frame[reach.DISTANCE] == 1])
    require(text, f"and these runs end at {end:.1f} M.")


def test_rates_states_its_range() -> None:
    text, frame = text_of("rates"), frame_of("rates")
    require(
        text, f"Five rates for both, {frame['tokens'].max() / 1e6:.1f} M tokens", f"the case in {rates.SOLVED} of the sequences"
    )
    times = escapes(frame, [rates.HEADS, rates.RATE])
    two = times[times[rates.HEADS] == 2]
    spread = max(rates.RATES) / min(rates.RATES)
    require(text, f"escape in {two['time_observed'].sum()} of {len(two)} runs over a range of {spread:.0f} times in the rate")
    medians = time_table(times, "time", [rates.HEADS, rates.RATE]).set_index([rates.HEADS, rates.RATE])["median"]
    require(text, f"two heads at {span(medians[2])} million tokens at every rate")
    one = medians[1].dropna()
    require(
        text, f"one head at {listed(one, '{:.1f}')} million at {listed(one.index, '{:.0e}').replace('e-0', 'e-')} and in fewer"
    )
    at_best = rates.compare(times.rename(columns={"time": "escaped", "time_observed": "escaped_observed"})).ratio
    require(text, f"That the ratio is {at_best:.0f} elsewhere")
    require(text_of("agreement"), f"the ratio at the best rate of each is {at_best:.0f}.")


def test_fig7_states_its_table_and_its_doubts() -> None:
    text, frame, chances = text_of("fig7"), frame_of("fig7"), pd.read_csv(RESULTS / "fig7" / "rates.csv")
    costs = {row["size"]: row["FLOPs"] for row in report_rows("fig7", "Cost of n = 2 at equal tokens")}
    sizes = frame.drop_duplicates("size").set_index("size")["parameters"] / 1e3
    rows = [line for line in text.splitlines() if line.startswith("| d") and "e-" in line]
    assert [(*row.split(" | ")[:2], row.split()[-2]) for row in rows] == [
        (f"| {size}", f"{sizes[size]:.0f}k", costs[size]) for size in [*sizes.index, "d96"]
    ]
    best = run_values(frame, METRIC, "best").groupby(["size", RATE, "n_future"])["value"].mean().unstack()
    ahead, last = (
        run_values(frame, METRIC, rule).groupby(["size", RATE, "n_future"])["value"].mean().unstack().diff(axis=1)[2]
        for rule in ("best", "last")
    )
    require(text, f"the rate of n = 1 the difference is {ahead['d96', 8e-3]:+.2f} and not found")
    shrinks = f"({ahead['d64', 1.6e-2]:+.2f} at d64, {ahead['d96', 8e-3]:+.2f} at d96)"
    require(text, f"{shrinks} was not tested, and with the rate of n = 2 it does not ({ahead['d96', 1.6e-2]:+.2f})")
    own = {row["size"]: row for row in report_rows("fig7", "n = 2 against n = 1, each at its own best rate, best epoch")}["d32"]
    at_end = {row["size"]: row for row in report_rows("fig7", f"n = 2 against n = 1: `{METRIC}`, last evaluation")}["d32"]
    assert {own["found"], at_end["found"]} == {"yes"}
    require(
        text,
        f"{ahead['d32', 1.6e-2]:+.2f} at the best epoch, not found among the five comparisons above, and found (corrected p = "
        f"{float(own['p_holm']):.3f}) among the four of each n at its own best rate; {last['d32', 1.6e-2]:+.2f} at the last "
        f"epoch, found (corrected p = {float(at_end['p_holm']):.3f})",
    )
    require(text, f"Both stay low ({best.loc[('d32', 1.6e-2), 1]:.2f} and {best.loc[('d32', 1.6e-2), 2]:.2f})")
    tuned = chances[(chances["size"] == "d48") & (chances["n_future"] == 1)].set_index(RATE)["mean"]
    require(text, f"n = 1 chose it over 8e-3 by {tuned[1.6e-2]:.3f} to {tuned[8e-3]:.3f}, on two seeds")
    chosen = best_rates("laptop", chances)
    assert [list(each.values()).count(1.6e-2) for each in chosen.values()] == [3, 4]
    largest = f"{max(SCALES['bracketed'].rates):.2e}".replace("e-0", "e-")
    require(text, f"with rates up to {largest} and other seeds")


def test_fig7_states_its_settings() -> None:
    text, plan, frame = text_of("fig7"), SCALES["laptop"], frame_of("fig7")
    size = {"model.width": 32, "n_future": 2, RATE: max(plan.rates)}
    experiment = lab.experiment("stories", {name: value for name, value in {**plan.base, **size}.items() if name != "task"})
    flops = frame[(frame["size"] == "d32") & (frame["n_future"] == 2)].drop_duplicates("step").set_index("step")["flops"]
    assert experiment.flops_per_step * frame["step"].max() == flops.iloc[-1], "the model of the published runs"
    require(text, f"at this vocabulary of {experiment.task.vocab_size}.", f"a grammar of {experiment.task.vocab_size} tokens")
    assert experiment.model.layers == 4
    epochs = experiment.steps * experiment.batch_size / plan.base["examples"]
    assert epochs == 5
    require(text, f"{experiment.steps} steps (five epochs of {plan.base['examples']} stories)")
    require(
        text,
        f"on the same {experiment.evaluation.examples} test sequences",
        f"within {frame['tokens'].max() / 1e6:.0f} M tokens",
    )
    require(
        text, f"first {shown(plan.rates[0])} to {shown(plan.rates[-2])}.", f"extended once, to {shown(plan.rates[-1])}, after"
    )
    require(text, f"d48 was seen only at {shown(plan.rates[-1])}, the rate")
    least = report_rows("fig7", f"n = 2 against n = 1: `{METRIC}`, best evaluation")[0]["p_least"]
    require(text, f"these five comparisons, and {float(least):.3f} is the least")
    curves = frame[frame["metric"] == METRIC].pivot_table(index="run", columns="step", values="value")
    assert (curves[500] > curves[400]).mean() > 0.5, "most curves are still rising"
    sizes = frame.drop_duplicates("size").set_index("size")["parameters"] / 1e3
    require(text, f"At {sizes['d48']:.0f}k and {sizes['d64']:.0f}k parameters n = 2 copies better.")


def test_star_states_its_prototype_and_its_order() -> None:
    text, frame = text_of("star"), frame_of("star")
    before = scipy.stats.fisher_exact(np.array([[2, 4], [6, 0]])).pvalue
    require(text, f"six of six with two (p = {before:.2f})")
    limit = 0.05 ** (1 / 6)
    chance = scipy.stats.binom.cdf(3, 8, limit)
    require(
        text, f"a share of {limit:.2f} (one-sided 95 % limit)", f"three or fewer of eight happen with probability {chance:.2f}"
    )
    require(text, f"The peak learning rate is {shown(STAR.scales['laptop'][RATE])} for all conditions")
    steps = f"{frame['step'].max():,}"
    require(text, f"paired seeds and {steps} steps each", f"within the {steps} steps is")
    two = frame[frame["arm"] == "n = 2"]
    first, knows = (
        escapes(two, ["arm"], *each).set_index("seed") for each in ((STAR.metric, 0.6), (STAR.stepping_stone, 0.95))
    )
    gone = first["time_observed"].astype(bool)
    assert (knows["time"][gone] < first["time"][gone]).all()
    assert (~gone).sum() == 5
    escaped = escapes(frame, ["arm"], STAR.metric).groupby("arm")["time_observed"].sum()
    detached, alone = escaped["n = 2, detached"], escaped["n = 1, depth of n = 2"]
    require(text, f"One escapes in {detached} of 8 runs, the other in {alone} of 8", f"(in sum, {detached + alone} of 16)")
    assert min(float(row["p_log_rank_holm"]) for row in report_rows("star", "Escape")) > ALPHA
    assert len(report_rows("star", "Escape")) == 10


def test_atlas_states_its_effects() -> None:
    text, frame = text_of("atlas"), frame_of("atlas")
    rows = {(row["task"], row["condition"]): row for row in effects_of(frame).to_dict("records")}
    gains = [rows["discovery", f"n = 2, equal {what}"]["difference"] for what in ("depth", "parameters")]
    losses = pd.Series([-row["difference"] for (task, _), row in rows.items() if task == "choice"])
    require(text, f"heads gain {gains[0]:.3f} at equal depth, found, and {gains[1]:.3f} at equal parameters, not found")
    require(text, f"four heads lose {span(losses, 3)}, all found", f"two heads help, by {gains[0]:.3f} of what is learnt")
    shares = f"{span(100 * losses, 1)} % of the area"
    require(text, shares)
    require(LOG, f"They lose {shares} under the learning curve, found in all four conditions")
    discovery = frame[frame["task"] == "discovery"]
    ends = run_values(discovery, str(discovery["metric"].iloc[0])).groupby("condition")["value"].mean()
    stated = "{:.2f} and {:.2f} of the samples are creative, against {:.2f} with one head"
    require(text, stated.format(ends["n = 2, equal depth"], ends["n = 2, equal parameters"], ends["n = 1"]))
    choice = frame[frame["task"] == "choice"]
    assert (run_values(choice, str(choice["metric"].iloc[0]))["value"] == 1).all(), "all know the consequences at the end"
    p = rows["discovery", "n = 2, equal depth"]["p_holm"]
    require(SUMMARY, f"n = 2 gains {gains[0]:.3f} of the area under the learning curve at equal depth (corrected p = {p:.3f})")
    require(SUMMARY, f"**lose {span(losses, 3)}, each found, against the rule**")


def test_atlas_states_addition_and_belief() -> None:
    text, frame = text_of("atlas"), frame_of("atlas")
    effects = effects_of(frame).set_index(["task", "condition"])["difference"]
    two, four = ([effects["addition", f"n = {n}, equal {what}"] for what in ("depth", "parameters")] for n in (2, 4))
    gains = listed(two)
    require(text, f"on addition two heads gain {gains}, found", f"Two heads help, by {gains} of what is learnt:")
    require(text, f"Four hurt at equal depth, by {-four[0]:.2f}:")
    require(
        LOG, f"Two heads gain {gains} of the area", f"four lose {-four[0]:.2f} at equal depth, found, and {-four[1]:.2f} at"
    )
    require(SUMMARY, f"**gains {gains}, found, against the rule**; n = 4 loses {-four[0]:.2f} at equal depth")
    times = escapes(frame[frame["task"] == "addition"], ["condition"], "exact", 0.9)
    known = time_table(times, "time", ["condition"]).set_index("condition")[["escaped", "median"]]
    (count, median), (count_one, median_one) = known.loc["n = 2, equal depth"], known.loc["n = 1"]
    assert known.loc["n = 2, equal parameters"].round(2).tolist() == known.loc["n = 2, equal depth"].round(2).tolist()
    stated = (
        "in {:.0f} of 8 runs 0.9 of the sums are right, from {:.2f} M tokens on at the median, with one head in {:.0f} of 8"
    )
    require(text, stated.format(count, median, count_one), f"from {median_one:.2f} M on.")
    assert known.loc["n = 4, equal depth", "escaped"] == 1
    belief = effects_of(frame).query("task == 'belief'")
    assert (belief["found"].any(), belief[["low", "high"]].abs().max().max() < 0.02) == (False, True)
    ends = run_values(frame[frame["task"] == "belief"], "kl/bayes").groupby("condition")["value"].mean()
    assert {f"{end:.3f}" for end in ends} == {"0.001"}


def test_s5_states_its_table_and_its_exceptions() -> None:
    text, table = text_of("s5"), pd.read_csv(RESULTS / "s5" / "s5.csv")
    ratio = table[table["n"] > 1].set_index(["size", "vocabulary", "n"])["time_ratio"]
    expected = float(str(steps_by_size.__doc__).split("that is at most ")[1].split(";")[0])
    above = ratio[(ratio.index.get_level_values("vocabulary") == 256) & (ratio.round(2) > expected)]
    assert [*above.index] == [("1M", 256, 4), ("30M", 256, 2)]
    require(
        text, f"With 256 tokens two ratios exceed {expected:.2f}, expected as the most: {above.iloc[0]:.2f} at 1M with n = 4"
    )
    require(LOG, f"at most {expected:.2f} times that of n = 1 with 256 tokens | 17 of 18 cases; {listed(sorted(above))} in two")
    rows = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if " (" in line and line.startswith("|")]
    assert rows == list(dict.fromkeys(table["size"]))
    assert (table.groupby(["vocabulary", "n"])["time_ratio"].apply(lambda each: each.is_monotonic_decreasing))[8192].all()
    require(SUMMARY, f"| {len(table)} steps |")


def test_objectives_state_their_plans_and_their_limits() -> None:
    text, frame = text_of("objectives"), frame_of("objectives")
    agreement, star, stories = (BENCHES[name] for name in ("agreement", "star", "stories"))
    require(
        text,
        f"{agreement.settings['steps']} steps; the next-token path",
        f"{star.settings['task.nodes']} node ids, four layers",
    )
    require(
        text,
        f"solve this one ({star.solved}) in at least 6 of 8 seeds; next token, sum, sequential, coarse and shuffled in 2 to 5.",
    )
    require(
        text,
        f"passes an accuracy of {stories.escaped} on the second names",
        f"passes an accuracy of {star.escaped} on the first",
    )
    require(text, f"*The time to pass {stories.escaped}*")
    assert len(CONDITIONS) == 16, "masked inputs need a task with an answer"
    order = frame[(frame["condition"] == "order") & (frame["metric"] == "accuracy/case_first/2")]
    require(text, f"its second head is right in at most {order['value'].max():.2f} of the sequences")
    rows = report_rows("objectives", "agreement: accuracy on the case at the end")
    require(text, f"fourteen comparisons the least attainable corrected p is {float(rows[0]['p_least']):.2f}.\n\n**Which")
    assert {row["found"] for row in rows} == {"no"}
    tuned = pd.read_csv(RESULTS / "objectives" / "rates.csv")
    knows = tuned.groupby("condition")["time"].min() < tuned["time"].max()
    assert (~knows).sum() == 9, "Of nine conditions no tuning run knows the case"
    sequential = tuned[tuned["condition"] == "sequential"]
    assert (sequential["value"].max() < 0.6, sequential[RATE].nunique()) == (True, 3), "as s4 says"
    earliest = escapes(frame, ["condition"]).groupby("condition")["time"].median().idxmin()
    assert earliest == "head depth", "as s4 says"
    chosen = {row["condition"]: row["peak rate"] for row in report_rows("objectives", "agreement: runs, and the rate")}
    require(text_of("s4"), f"at {shown(float(chosen['head depth']))}, bare heads of which the second reads an earlier layer")
    require(text_of("s4"), f"at {shown(float(chosen['sequential']))}, where this was measured")
    escaped = {name: {"agreement": 0, "stories": 0} for name in ("future bag", "future bag, x V")}
    for task, folder in (("agreement", "objectives"), ("stories", "objectives/stories")):
        bench = BENCHES[task]
        times = (
            escapes(frame_of(folder), ["condition"], bench.metric, bench.escaped).groupby("condition")["time_observed"].sum()
        )
        for name, found in escaped.items():
            found[task] = int(times[name])
    plain, weighted = escaped.values()
    require(
        text,
        f"times V the bag of the future escapes in {weighted['agreement']} of 8 runs on agreement and {weighted['stories']} of "
        f"8 here, divided by V in {plain['agreement']} of 8 there and {plain['stories']} of 8 here.",
    )
