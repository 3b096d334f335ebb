"""The sentences of the studies that compare conditions have the numbers of their frames."""

import numpy as np
import pandas as pd
import pytest

import tasks
from lab.config.kinds import KINDS
from lab.reproduce import alphabet, epochs, s4
from lab.reproduce.comparison.plan import CONDITION, FAMILY, sweep_of
from lab.reproduce.fig7.plan import METRIC
from lab.reproduce.finetune import FIRST_SEEDS
from lab.stats.configurations import run_values
from lab.stats.times import time_table
from lab.sweeping.spec.configurations import grid_experiments
from tasks.agreement import Agreement
from tasks.spelled import Spelled
from tests.helpers.published import end_of, escapes, frame_of, report_rows, require, shown, span, text_of

END = "within {:.1f} M tokens"


def medians(frame: pd.DataFrame) -> dict[str, str]:
    """Return the median time of each condition of a family that escapes in half of its runs, as the tables have it."""
    table = time_table(escapes(frame, [CONDITION]), "time", [CONDITION]).set_index(CONDITION)["median"]
    return {str(name): f"{value:.2f}" for name, value in table.dropna().items()}


def test_sizes_states_its_medians() -> None:
    text, frame = text_of("sizes"), frame_of("sizes")
    asked, times = ("n = 2", "one head, case at the key"), escapes(frame, [FAMILY, CONDITION])
    wide = times[times[FAMILY] != "4 layers, width 32"]
    escaped = wide.assign(asked=wide[CONDITION].isin(asked)).groupby("asked")["time_observed"].agg(["sum", "count"])
    (never, others), (every, runs) = escaped.to_numpy().astype(int)
    assert (never, every) == (0, runs)
    require(text, f"all {runs} runs that are asked for the case at the key escape, and none of the {others} others does**")
    found = {size: medians(part) for size, part in frame.groupby(FAMILY)}
    large, middle, small = (found[f"{size}"] for size in ("4 layers, width 128", "4 layers, width 64", "2 layers, width 64"))
    (both,) = {large[name] for name in asked}
    stated = " and ".join(middle[name] for name in asked)
    require(text, f"Width 128 escapes at {both} M tokens at the median, width 64 with as many layers at {stated};")
    require(
        text, f"{small[asked[1]]} against {small[asked[0]]} M tokens (not tested)", f"runs end at {end_of(frame):.1f} M tokens"
    )
    narrow = times[times[FAMILY] == "4 layers, width 32"].groupby(CONDITION)["time_observed"].sum()
    assert narrow.to_dict() == {name: int(name in asked) for name in narrow.index}
    require(text, f"were expected to escape, and {narrow[asked[0]]} of 8 does**, with n = 2 and with one head alike")


def test_s4_states_its_kinds() -> None:
    text, frame = text_of("s4"), frame_of("s4")
    times = escapes(frame, [CONDITION])
    helped = times[times.groupby(CONDITION)["time_observed"].transform("all")]
    require(text, f"seven kinds in all runs at {span(helped['time'])} million tokens, sequential heads in one run")
    assert helped[CONDITION].nunique() == 7
    require(text, f"{END.format(end_of(frame))} ([reach]")
    planned = grid_experiments(sweep_of(s4.COMPARISON, "kind of heads, n = 2")).values()
    sizes = pd.Series([each.non_embedding_parameters for each in planned if each.n_future == 2]) / 1e3
    require(text, f"the kinds differ in parameters ({sizes.min():.0f} to {sizes.max():.0f} thousand)")
    assert len(KINDS) == 9
    plateau = tasks.get("agreement", distance=1).plateaus("case_first")["key not resolved"]
    require(text, f"above the plateau of {plateau:.2f}")
    require(text_of("epochs"), f"among the glossary's cases is right in {plateau:.2f}.")
    require(text_of("objectives"), f"than a guess among the glossary's cases ({plateau:.2f}).")


def test_finetune_states_its_first_stage() -> None:
    text, frame = text_of("finetune"), frame_of("finetune")
    require(text, f"({FIRST_SEEDS[0]} to {FIRST_SEEDS[-1]})")
    ends = run_values(frame[frame[FAMILY] == "first stage"], "accuracy/case_first/1").groupby(CONDITION)["value"]
    assert (ends.min()["n = 4"] > 0.95, ends.max()["n = 1"] < 0.5) == (True, True), "as expected"
    tuned = frame[(frame[FAMILY] == "fine-tuning") & frame[CONDITION].isin(["n = 4, then 1", "n = 4, then 4"])]
    last, lowest = tuned.groupby("run")["step"].max(), tuned.groupby(CONDITION)["value"].min()
    require(
        text,
        f"after {last.min()} to {last.max()} steps, so that whether it stays was not measured; in between single runs fall to "
        f"{lowest['n = 4, then 1']:.2f} with one head and to {lowest['n = 4, then 4']:.2f} with four.",
    )
    late = escapes(frame[frame[FAMILY] == "a head added"], [CONDITION])
    assert late.groupby(CONDITION)["time_observed"].sum().to_dict() == {
        "n = 1 goes on": 0, "n = 2 from there": 7, "n = 2 from the start": 8
    }  # fmt: skip


def test_epochs_states_how_often_a_set_is_seen() -> None:
    text, frame = text_of("epochs"), frame_of("epochs")
    settings = next(iter(epochs.COMPARISON.families.values())).settings
    sequences = settings["batch_size"] * settings["steps"]
    require(
        text, "a run goes through it {:.0f}, {:.0f} or {:.0f} times".format(*(sequences / size for size in (8192, 2048, 512)))
    )
    require(text, f"{END.format(end_of(frame))} ([reach]", f"gone on 2048**, {END.format(end_of(frame))}.")
    times = escapes(frame[(frame[FAMILY] == "8192 sequences") & (frame[CONDITION] == "n = 2")], [CONDITION])["time"]
    seen = times.median() / end_of(frame) * sequences / 8192
    assert seen == pytest.approx(4, abs=0.5)


def test_alphabet_states_what_spelling_costs() -> None:
    text, frame = text_of("alphabet"), frame_of("alphabet")
    family = alphabet.COMPARISON.families["two symbols a token"]
    later = []
    for name, positions in (("tokens", 1), ("two symbols a token", 2)):
        own = frame[frame[FAMILY] == name]
        times = escapes(own, [CONDITION], str(own["metric"].iloc[0]), alphabet.ESCAPED)
        later.append(time_table(times, "time", [CONDITION]).set_index(CONDITION)["median"] / positions)
    ratios = (later[1] / later[0]).dropna()
    require(text, "spelled**: {:.1f}, {:.1f} and {:.1f} times as many at the medians".format(*ratios))
    costs = frame.loc[frame[CONDITION] == "n = 4", "cost"].unique()
    assert {f"{cost:.1f}" for cost in costs} == {"1.8"}
    require(text, f"a step of n = 4 costs {costs[0]:.1f} times that of n = 1")
    tables = [report_rows("alphabet", f"{name}: escape at equal tokens") for name in alphabet.COMPARISON.families]
    (least,) = {row["p_log_rank_holm"] for table in tables for row in table if row["escaped"] == "8"}
    (two,) = (row["p_log_rank_holm"] for row in tables[1] if row["condition"] == "n = 2")
    require(
        text, f"corrected p = {shown(float(least))}, the least it can be)", f"(corrected p = {float(two):.3f} against n = 1)"
    )
    assert family.escaped == alphabet.ESCAPED


def test_alphabet_states_its_threshold_and_its_plateaus() -> None:
    (experiment, *_) = grid_experiments(sweep_of(alphabet.COMPARISON, "two symbols a token")).values()
    task = experiment.task
    assert isinstance(task, Spelled)
    inner = task.task
    assert isinstance(inner, Agreement)
    first = task.code[inner.keys + inner.verbs + inner.stems + inner.lexicon, 0]
    levels = []
    for given in (inner.lexicon, first):
        glossaries = given[np.indices([inner.verbs] * inner.pairs).reshape(inner.pairs, -1)]
        levels.append((glossaries[:, None] == glossaries).sum(0).max(0).mean() / inner.pairs)
    require(
        text_of("alphabet"),
        f"A run escapes here when it is right in {alphabet.ESCAPED} of the cases, or of their first symbols, twice in a row; "
        "guesses among the glossary's are right in {:.2f} and {:.2f}.".format(*levels),
    )


def test_s14_states_how_its_means_differ() -> None:
    text, frame = text_of("s14"), frame_of("s14")
    ends = run_values(frame.assign(run=frame[FAMILY] + frame["run"]), METRIC)
    means = ends.groupby([FAMILY, CONDITION])["value"].mean().unstack()
    ahead = means["n = 2"] - means["n = 1"]
    fixed, nine = ([f"width {width}, {data}" for width in (48, 64)] for data in ("fixed names", "nine fresh in ten"))
    require(text, "what fig7 found at this rate, {:+.2f} and {:+.2f} at the last epoch".format(*ahead[fixed]))
    require(text_of("fig7"), "at the last epoch by {:.2f} at d48 and {:.2f} at d64".format(*ahead[fixed]))
    lower = [means["n = 1"][a] - means["n = 1"][b] for a, b in zip(fixed, nine, strict=True)]
    require(text, "its accuracy is {:.2f} lower at width 48 and {:.2f} lower at width 64".format(*lower))
    less = ahead[fixed[0]] - ahead[nine[0]]
    require(
        text, "Two heads are ahead by {:.2f} and {:.2f}, where".format(*ahead[nine]), f"at width 48 by {less:.2f} less than"
    )
    require(text, f"and {(ends['value'] < 0.5).sum()} of {len(ends)} runs copy less than half")
    costs = [100 * (part["cost"].max() - 1) for _, part in frame[frame[FAMILY].isin(fixed)].groupby(FAMILY)]
    require(text, "n = 2 spends {:.0f} and {:.0f} % more.".format(*costs))
    one = ahead[[f"width {width}, one fresh in ten" for width in (48, 64)]].mean()
    assert one < min(ahead[fixed].mean(), ahead[nine].mean()), "it does not lie between"


def test_fig9_states_its_means() -> None:
    text, frame = text_of("fig9"), frame_of("fig9")
    ends = frame[frame["step"] == frame["step"].max()].groupby([FAMILY, CONDITION])["value"].mean().unstack()
    four = frame[(frame["step"] == frame["step"].max()) & (frame[CONDITION] == "n = 4") & (frame[FAMILY] == "turns")]
    require(text, f"(n = 4 with seed {four.loc[four['value'].idxmax(), 'seed']}, the best of its eight)")
    turns, free, imposed = (ends.loc[name] for name in ("turns", "sampled walks", "walks, right way at turns imposed"))
    ahead = turns["n = 2"] - turns["n = 1"]
    require(text, f"ahead of one at turns by {ahead:.2f}, which", f"a mean of {turns['n = 2']:.2f} is near guessing")
    require(text, f"{turns.max():.2f} is the highest mean, and {0.9:.2f} can be reached")
    walks = "{:.2f} and {:.2f} against {:.2f} and {:.2f} without"
    require(text, walks.format(imposed["n = 1"], imposed["n = 2"], free["n = 1"], free["n = 2"]))
    assert turns.max() < 0.7
    assert ends.loc["detours", ["n = 1", "n = 2"]].between(0.45, 0.55).all()
    assert ends.loc["forced steps", ["n = 1", "n = 2"]].min() > 0.95
