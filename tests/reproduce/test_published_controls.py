"""The page on controls has the numbers of the frame and of the table of patched networks beside it."""

import pandas as pd
from scipy.stats import fisher_exact

from lab.model.spec import NetworkSpec
from lab.reproduce.agreement import PLATEAU
from lab.reproduce.comparison.configuration import Family
from lab.reproduce.comparison.plan import CONDITION, FAMILY, condition_of, sweep_of
from lab.reproduce.comparison.tables import escape_table, times_of
from lab.reproduce.controls import COMPARISON
from lab.stats.times import time_table
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.published import FRONT, LOG, RESULTS, SUMMARY, end_of, escapes, frame_of, require, shown, span, text_of

TEXT, FRAME = text_of("controls"), frame_of("controls")


def family_of(name: str) -> tuple[Family, pd.DataFrame]:
    """Return a family and its rows of the frame."""
    return COMPARISON.families[name], FRAME[FRAME[FAMILY] == name]


HEADS, OWN = family_of("heads")
TIMES = times_of(HEADS, OWN).assign(
    time=lambda rows: rows["escaped"] / 1e6, seen=lambda rows: rows["escaped_observed"].astype(bool)
)
TAUGHT = ["n = 2", "linear probe at the key"]
"""Conditions in which the question at the key gives the trunk a gradient."""
SHALLOW = ["n = 1, depth of n = 2", "n = 2, detached", "next token twice"]
PATCHED = pd.read_csv(RESULTS / "controls" / "heads" / "patching.csv")


def seen(*conditions: str) -> pd.Series:
    """Return when the runs of some conditions that escape did so, in M tokens."""
    return TIMES.loc[TIMES[CONDITION].isin(conditions) & TIMES["seen"], "time"]


def largest(condition: str) -> pd.Series:
    """Return for each model the share of sequences with the other case, after the number of layers where it is largest."""
    return PATCHED[PATCHED["condition"] == condition].groupby("seed")["other"].max()


def test_the_settings_are_those_of_the_runs() -> None:
    require(TEXT, f"Here each has {end_of(FRAME):.1f} M", f"({min(COMPARISON.seeds)} to {max(COMPARISON.seeds)}), test split.")
    require(TEXT, f"mostly does not escape at all within {end_of(FRAME):.1f} M.")
    settings, usual = HEADS.settings, PLATEAU.scales["laptop"]
    assert settings["steps"] == 3 * usual["steps"]
    width, rate = settings["model.width"], shown(settings["optimiser.peak_lr"])
    require(TEXT, f"(width {width}, four layers, equal parameters, a peak rate of {rate} that n = 1 chose and n = 2 did not)")
    require(TEXT, f"right about the case in {HEADS.solved} of the sequences, twice in a row.")


def test_the_layers_are_those_of_the_networks() -> None:
    experiments = grid_experiments(sweep_of(COMPARISON, "heads"))
    layers = {
        condition_of(HEADS.conditions, name): NetworkSpec(each.model, each.task.vocab_size, each.n_future).path_layers
        for name, each in experiments.items()
    }
    four = {name for name, count in layers.items() if count == 4}
    assert four == {"n = 1", "linear probe at the key", "linear probe, detached"}
    assert set(layers.values()) == {3, 4}


def test_the_runs_before_are_those_of_agreement() -> None:
    before = escapes(frame_of("agreement"), ["arm"])
    two, longer = before[(before["arm"] == "n = 2")]["time"], escapes(frame_of("agreement/longer"), ["n_future"])
    one = longer.loc[longer["time_observed"].astype(bool), "time"]
    require(TEXT, f"at {span(two, 1)} M tokens, one head at {span(one, 1)} M.")
    require(TEXT, f"The controls of that page ended after {end_of(frame_of('agreement')):.1f} M tokens")


def test_the_sentences_on_gradients_have_the_numbers() -> None:
    taught, others = seen(*TAUGHT), seen(*(set(HEADS.conditions) - {*TAUGHT}))
    assert (len(taught), int((~TIMES[CONDITION].isin(TAUGHT)).sum())) == (16, 48)
    require(
        TEXT,
        f"all sixteen runs escape, by {taught.max():.2f} M tokens; none of the 48 others escapes before {others.min():.2f} M",
    )
    rows = escape_table(HEADS, OWN, "tokens").set_index("condition")
    p_values = rows["p_log_rank_holm"].map("{:.2g}".format)
    assert set(p_values[TAUGHT]) == {f"{rows['p_log_rank_least'].max():.2g}"}
    require(TEXT, f"(corrected log-rank p = {p_values['n = 2']}, the least possible)")
    alone = seen("linear probe, detached")
    require(TEXT, f"as n = 1 is ({len(alone)} of 8, at {span(alone)} M; p = {p_values['linear probe, detached']})")
    counts = [len(seen(name)) for name in SHALLOW]
    require(
        TEXT,
        "They escape in {}, {} and {} of 8 runs, later than n = 1 (corrected p = {}, {} and {})".format(
            *counts, *p_values[SHALLOW]
        ),
    )
    assert (rows.loc[SHALLOW, "later"] > 0).all()
    assert rows.loc[SHALLOW, "found"].all()
    require(TEXT, f"({span(seen('n = 2'))} M) beat one head with four ({span(seen('n = 1'))} M)")
    shuffled = seen("n = 2, shuffled")
    require(TEXT, f"in {len(shuffled)} of 8 runs, from {shuffled.min():.2f} M on", f"(p = {p_values['n = 2, shuffled']})")


def test_the_sentences_on_patching_have_the_numbers() -> None:
    two, one, probe = largest("n = 2"), largest("n = 1"), largest("linear probe at the key")
    assert ((two > 0.5).sum(), (two < 0.005).sum(), (one > 0.5).sum()) == (6, 2, 0)
    require(TEXT, f"in {span(two[two > 0.5])} of the sequences in six of eight models, and in none in the two others")
    require(TEXT, f"With n = 1 it does so in at most {one.max():.2f},")
    require(TEXT, f"(Fisher's exact p = {fisher_exact([[6, 2], [0, 8]]).pvalue:.1g})")
    whole, part = probe[probe > 0.5], probe[(probe > 0.1) & (probe < 0.5)]
    assert (len(whole), len(part), (probe < 0.005).sum()) == (5, 1, 2)
    require(TEXT, f"five of eight models read it ({span(whole)}), a sixth in part ({part.item():.2f}), and two not")
    require(TEXT, f"detached, none does (at most {largest('linear probe, detached').max():.2f})")


def test_the_sentences_on_weights_have_the_numbers() -> None:
    family, own = family_of("weight of head 2")
    times = times_of(family, own).set_index(CONDITION)["escaped"] / 1e6
    least, *others = family.conditions
    require(TEXT, f"on by {times[others].max():.2f} M tokens, and at {least} later, at {span(times[least])} M.")
    rows = escape_table(family, own, "tokens")
    assert rows["found"].all()
    earlier = -100 * rows["later"]
    p_value = f"{rows['p_log_rank_holm'].max():.2g}"
    require(
        TEXT, f"({earlier.min():.0f} to {earlier.max():.0f} % earlier, corrected log-rank p = {p_value}, the least possible)"
    )
    assert rows["p_log_rank_holm"].tolist() == rows["p_log_rank_least"].tolist()
    assert times[least].max() < seen("n = 1").min()


def test_the_sentences_on_loss_and_epsilon_have_the_numbers() -> None:
    family, own = family_of("loss and epsilon")
    rows = escape_table(family, own, "tokens").set_index("condition")
    two, one = rows.loc["n = 2, loss on all"], rows.loc["n = 1, epsilon 1e-6"]
    assert two["p_log_rank_holm"] == two["p_log_rank_least"]
    require(
        TEXT, f"n = 2 escapes {-100 * two['later']:.0f} % earlier than n = 1 (corrected p = {two['p_log_rank_holm']:.2g}, the"
    )
    assert one["found"]
    medians = time_table(times_of(family, own), "escaped", [CONDITION]).set_index(CONDITION)["median"] / 1e6
    assert medians[["n = 1, loss on all", "n = 1, epsilon 1e-6"]].min() > 2.5
    assert medians[["n = 2, loss on all", "n = 2, epsilon 1e-6"]].max() < 2
    require(TEXT, "the median of n = 1 stays above 2.5 M tokens, and that of n = 2 below 2 M.")
    both = f"({medians['n = 1, loss on all']:.2f} M against {medians['n = 1, epsilon 1e-6']:.2f} M,"
    require(TEXT, f"{both} corrected p = {one['p_log_rank_holm']:.2g})")
    times = times_of(family, own).set_index([CONDITION, "seed"])["escaped"]
    steps = OWN["tokens"].drop_duplicates().sort_values().tolist()
    for name in ("n = 1", "n = 2"):
        usual = TIMES[TIMES[CONDITION] == name].set_index("seed")["escaped"]
        later = times[f"{name}, epsilon 1e-6"].map(steps.index) - usual.map(steps.index)
        assert set(later) <= {0, 1}


def test_the_summaries_have_the_numbers() -> None:
    last, first = f"{seen(*TAUGHT).max():.2f}", f"{seen(*set(HEADS.conditions) - {*TAUGHT}).min():.2f}"
    require(SUMMARY, f"at the key escape by {last} M, also where", f"none of 48 others escapes before {first} M")
    require(
        FRONT, f"16 of 16 runs escape by {last} M tokens", f"none of 48 before {first} M, and with the head detached 0 of 8"
    )
    slowest = times_of(*family_of("weight of head 2"))["escaped"].max() / 1e6
    require(SUMMARY, f"all runs still escape, by {slowest:.2f} M; a loss")
    rows = escape_table(HEADS, OWN, "tokens").set_index("condition").loc[SHALLOW]
    counts = ", ".join(str(len(seen(name))) for name in SHALLOW[:2])
    require(SUMMARY, f"({counts} and {len(seen(SHALLOW[2]))} of 8, corrected p at most {rows['p_log_rank_holm'].max():.2g})")
    p_values = "{:.2g}, {:.2g} and {:.2g}".format(*rows["p_log_rank_holm"])
    require(LOG, f"within {end_of(FRAME):.1f} M, later than n = 1 (corrected p = {p_values})")
    agreement = text_of("agreement")
    require(agreement, f"six against none of eight](../controls/README.md) (p = {fisher_exact([[6, 2], [0, 8]]).pvalue:.1g}).")
