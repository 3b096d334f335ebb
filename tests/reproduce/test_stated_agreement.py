"""The page of agreement has the numbers of its frames, of its task and of its sweeps."""

import numpy as np
import pandas as pd
import scipy

from lab.evaluation.batch import EVALUATION_SEED
from lab.reproduce.agreement import PLATEAU
from lab.reproduce.fig7.plan import RATE
from lab.stats.configurations import run_values
from lab.stats.paired import holm, least_p_of_pairs, least_p_of_runs
from lab.stats.survival import median_time, survival_comparisons
from lab.sweeping.spec.configurations import grid_experiments
from lab.sweeping.spec.files import load
from lab.training.learning_rate import rate_factor
from tasks.agreement import Agreement
from tests.helpers.published import CASE, RESULTS, ROOT, end_of, escapes, frame_of, require, shown, span, text_of

TEXT, FRAME = text_of("agreement"), frame_of("agreement")
TWO = FRAME[FRAME["arm"] == "n = 2"]
EVERY = 50
"""Steps between evaluations."""


def ends(frame: pd.DataFrame) -> pd.Series:
    return run_values(frame, CASE).set_index("seed")["value"]


def seen(times: pd.DataFrame) -> pd.Series:
    return times.loc[times["time_observed"].astype(bool), "time"]


def test_the_plateau_is_that_of_the_task() -> None:
    (experiment, *_) = grid_experiments(load(ROOT / "sweeps" / "longer.yaml")).values()
    task, examples = experiment.task, experiment.evaluation.examples
    assert isinstance(task, Agreement)
    require(TEXT, f"is right in {task.plateaus('case_first')['key not resolved']:.3f} of sequences: the plateau")
    tokens, key = task.batch(EVALUATION_SEED, 0, examples, "test").tokens, 2 * task.pairs
    given = task.lexicon[tokens[:, 1:key:2] - task.keys]
    counts = (given[:, :, None] == np.arange(task.cases)).sum(1)
    guessed = counts == counts.max(1, keepdims=True)  # the commonest cases of each glossary, which it guesses alike
    case = tokens[:, key + 2] - task.keys - task.verbs - task.stems
    own = (guessed[np.arange(examples), case] / guessed.sum(1)).mean()
    require(TEXT, f"on these {examples} test sequences, whose own plateau is {own:.3f}")


def test_the_choice_of_the_rate_is_that_of_its_runs() -> None:
    means = pd.read_csv(RESULTS / "agreement" / "rates.csv").groupby(RATE)["value"].mean()
    stated = [[*map("{:.3f}".format, means)], [*map(shown, means.index.tolist())]]
    require(TEXT, " at ".join(f"{', '.join(each[:3])} and {each[3]}" for each in stated))
    require(TEXT, f"The peak learning rate is {shown(float(str(means.idxmax())))} for all conditions")
    other = "{}, {} and {}".format(*stated[1][1:])
    require(TEXT, f"At {other}, two runs each, n = 1 does not escape within {FRAME['tokens'].max() / 1e6:.2f} M tokens either")
    assert means.max() < PLATEAU.escape_threshold


def test_the_tests_are_those_of_the_frame() -> None:
    runs, pairs, end = least_p_of_runs(8, 8), least_p_of_pairs(8), end_of(FRAME)
    log_rank = shown(runs)
    require(TEXT, f"the least p that eight against eight runs can give is {log_rank}")
    corrected = holm([pairs] * 4 + [1.0] * 6)[0]
    require(TEXT, f"eight pairs of seeds gives p = {pairs:.4f}, corrected {corrected:.3f}, each the least")
    never = FRAME.loc[FRAME["arm"].isin(["n = 1", "n = 1, depth of n = 2", "n = 2, detached", "n = 2, shuffled"]), "run"]
    require(TEXT, f"none of the {never.nunique()} models of the four other conditions does** within {end:.1f} M tokens")
    require(TEXT, f"(exact log-rank p = {log_rank}, paired p = {pairs:.4f}, each the least it can be)")
    terms = holm([pairs] * 4 + [1.0] * 3)[0]
    require(TEXT, f"(paired over the eight seeds {pairs:.4f}, corrected {terms:.3f}, the least as well)")
    require(
        TEXT, f"latest run with it (exact log-rank p = {log_rank})", f"from one head with an exact log-rank p = {log_rank}, "
    )
    require(TEXT, f"does not learn the look-up within {end:.1f} M tokens", f"they had {end:.1f} M tokens, as n = 1 had")
    assert (ends(TWO).round(3) == 1).all()
    require(TEXT, f"M tokens and end at {ends(TWO).mean():.3f}; n = 1")


def test_costs_and_steps_are_those_of_the_frame() -> None:
    cost = FRAME.groupby("arm")["flops"].max()
    require(TEXT, f"Two heads cost {100 * (cost['n = 2'] / cost['n = 1'] - 1):.1f} % more FLOPs")
    tokens = FRAME.drop_duplicates("step").set_index("step")["tokens"]
    require(TEXT, f"In the first 400 steps ({tokens[400] / 1e6:.2f} M tokens)")
    first = FRAME[FRAME["arm"].str.contains("verb first")]
    compared = survival_comparisons(escapes(first, ["arm"]), "time", "arm").iloc[0]
    require(TEXT, f"(log-rank p = {compared['p_log_rank']:.3f}, at evaluations {tokens[EVERY] / 1e3:.0f} k tokens apart)")
    one = escapes(first[first["arm"] == "n = 1, verb first"], ["arm"])["time"]
    require(TEXT, f"| n = 1, verb first | 8 of 8 [0.69, 1.00], by {one.max():.1f} M tokens |")


def test_the_order_in_which_two_heads_learn_is_that_of_the_frame() -> None:
    metrics = {"case": CASE, "key": "accuracy/case_first/2", "verb": "accuracy/verb/2"}
    knows = {name: escapes(TWO, ["arm"], metric, 0.95).set_index("seed")["time"] for name, metric in metrics.items()}
    case, key, verb = knows["case"], knows["key"], knows["verb"]
    assert (case >= key).all()
    assert (case == key).sum() == 1
    assert ((verb == case).sum(), (verb < case).sum(), (verb > case).sum()) == (5, 1, 2)
    require(TEXT, f"knows the case at the key first ({span(key)} M tokens), and head 2 knows the verb")
    require(TEXT, f"knows the case there ({span(verb)} M; at the same evaluation in five seeds, sooner in one, later in two)")
    patched = pd.read_csv(RESULTS / "agreement" / "patching.csv").query("arm == 'n = 2' and layers == 2").set_index("seed")
    readers, others = (sorted(case[patched.index[reads]]) for reads in (patched["other"] > 0.5, patched["other"] <= 0.5))
    stated = "{:.2f}, {:.2f}, {:.2f} and {:.2f} M tokens, the others after {:.2f} to {:.2f} M"
    require(TEXT, f"The first four know the case (0.95) after {stated.format(*readers, others[0], others[-1])}")
    escaped = escapes(TWO, ["arm"]).set_index("seed")["time"]
    assert escaped[patched.index[patched["other"] > 0.5]].max() < escaped[patched.index[patched["other"] <= 0.5]].min()


def test_the_second_word_has_the_numbers_of_its_frame() -> None:
    frame = frame_of("agreement/two-words")
    one, two = (frame[frame["n_future"] == heads] for heads in (1, 2))
    assert (ends(two).round(3) == 1).all()
    require(TEXT, f"M tokens, and end at {ends(two).mean():.3f}** (exact log-rank")
    key, case = (
        escapes(two, ["n_future"], metric, 0.95).set_index("seed")["time"] for metric in ("accuracy/case_first/2", CASE)
    )
    assert (key <= case).all()
    require(TEXT, f"Each run knows it at the key ({span(key)} M)")
    last = ends(one).sort_values()
    require(TEXT, f"and ends at {last.iloc[-1]:.2f}; the others end at {last.iloc[0]:.2f} to {last.iloc[-2]:.2f}.")
    assert len(seen(escapes(one, ["n_future"]))) == 1
    times = escapes(two, ["n_future"]).set_index("seed")["time"]
    least = pd.read_csv(RESULTS / "agreement" / "two-words" / "patching.csv").groupby("seed")["other"].max().nsmallest(2)
    assert set(least.index) == set(times.nlargest(2).index)
    require(TEXT, f"with two heads none after {times.max():.1f} M tokens, with one head 7 of 8 at the end")


def test_one_head_in_longer_runs_has_the_numbers_of_its_frame() -> None:
    frame = frame_of("agreement/longer")
    times, two, end = escapes(frame, ["n_future"]), escapes(TWO, ["arm"]), end_of(frame)
    assert sorted(ends(frame).round(3))[1:] == [1.0] * 7
    require(
        TEXT,
        f"M tokens, and end at 1.000**; the eighth ends at {ends(frame).min():.3f}, still on the plateau after {end:.1f} M",
    )
    require(TEXT, f"One head [escapes too](#one-head-three-times-as-long), at {span(seen(times), 1)} M tokens")
    last = seen(two).max()
    require(TEXT, f"with two heads none after {last:.1f} M, with one head all eight until {seen(times).min():.1f} M, one of")
    middle = [each["time"].median() for each in (two, times)]
    lower = [median_time(each["time"].tolist(), each["time_observed"].tolist()) for each in (two, times)]
    require(TEXT, "the median is {:.2f} M tokens with it and {:.2f} M without".format(*middle))
    require(TEXT, "as on the other pages, {:.2f} and {:.2f})".format(*lower))
    chance = scipy.stats.fisher_exact(np.array([[4, 4], [0, len(seen(times))]])).pvalue
    require(TEXT, f"(Fisher's exact p = {chance:.2f}, and the question")
    (experiment, *_) = grid_experiments(load(ROOT / "sweeps" / "longer.yaml")).values()
    steps = FRAME["step"].max(), int(frame.loc[frame["tokens"] == 1e6 * times["time"].min(), "step"].iloc[0])
    tokens = [step * experiment.batch_size * experiment.task.length / 1e6 for step in steps]
    factors = [rate_factor(step, experiment) for step in steps]
    require(TEXT, f"Eight fresh runs of n = 1 had {experiment.steps} steps")
    require(
        TEXT,
        f"In the {experiment.steps}-step runs the rate is still {factors[0]:.2f} of its peak at {tokens[0]:.2f} M tokens, "
        f"where the {steps[0]}-step runs end, and {factors[1]:.2f} of it at {tokens[1]:.2f} M",
    )


def test_the_terms_have_the_numbers_of_their_frame() -> None:
    times = escapes(frame_of("agreement/terms"), ["asked"])
    require(TEXT, f"**All {len(times)} runs are as expected**")
    verb = times.loc[times["asked"] == "one head for the verb at the key", "time"]
    assert (verb.round(2) == 0.38).sum() == 3
    require(TEXT, f"escape at {verb.min():.2f} M tokens, which is {verb.min():.1f} when rounded)")
    latest, never = seen(times).max(), times.loc[~times["time_observed"].astype(bool), "time"]
    require(TEXT, f"four escape in all runs before {np.ceil(10 * latest) / 10:.1f} M tokens, four in none")
    require(TEXT, f"escape within 0.4 to 0.9 M tokens, the others not within {never.min():.1f} M")
