"""Numbers of runs and of comparisons that the pages of findings state in words are those of the frames."""

import re

import pandas as pd
import pytest

from lab.reproduce import alphabet, rates
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.reproduce.objectives.conditions import BENCHES, SUM
from lab.reproduce.objectives.plan import best_rates
from lab.reproduce.star import PLATEAU as STAR
from lab.stats.configurations import run_values
from tests.helpers.published import RESULTS, SUMMARY, escape_counts, escapes, frame_of, report_rows, require, text_of

WORDS = (
    *("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
)


def require_counts(text: str, phrase: str, *counts: int) -> None:
    """Check that a text has a phrase once, with these counts in words for its numbers in braces, small or as it begins."""
    words = iter(WORDS[count] for count in counts)
    stated = re.sub(r"\{(\w?)\}", lambda place: next(words).capitalize() if place[1] else next(words), phrase)
    require(text, stated)
    assert [*words] == []


def test_star_counts_its_runs() -> None:
    text, counts = text_of("star"), escape_counts("star", ["arm"], STAR.metric)
    require_counts(text, "{A} of eight models escape with n = 1 (share", counts["n = 1"])
    require_counts(text, "and {} of eight with n = 2 (", counts["n = 2"])
    rows = report_rows("star", "Escape")
    (neither,) = (int(row["neither"]) for row in rows if (row["a"], row["b"]) == ("n = 1", "n = 2"))
    require_counts(text, "in {} of the eight pairs neither run escapes", neither)
    require_counts(text, "In {} of those eight runs head 1 never escapes", 8 - counts["n = 2"])
    assert {row["found"] for row in rows} == {"no"}
    require_counts(text, "{A} of the {} comparisons between conditions survives", 0, len(rows))
    knows = escape_counts("star", ["arm"], STAR.stepping_stone, 0.95)
    require_counts(text, "still knows the predecessor in {} of eight runs", knows["n = 2, detached"])
    assert (knows["n = 2"], counts["n = 2, detached"]) == (8, 0)
    require(text, f"(shuffled) {counts['n = 2, shuffled']} of 8 runs escape, as with n = 1.")


def test_s4_and_finetune_count_their_runs() -> None:
    text, kinds = text_of("s4"), escape_counts("s4", [CONDITION])
    every, few = sum(count == 8 for count in kinds.values()), kinds["sequential"]
    require_counts(text, "# Kinds of prediction heads: {} of {} bring head 1 off its plateau", every, len(kinds) - 1)
    require_counts(text, "a sequential one in {} run of eight\n", few)
    require_counts(text, "**{A} kinds escape in all runs, as expected", every)
    require_counts(text, "were expected to help, and {} of eight runs escapes.**", few)
    frame = frame_of("finetune")
    added = escapes(frame[frame[FAMILY] == "a head added"], [CONDITION]).groupby(CONDITION)["time_observed"].sum()
    require_counts(text_of("finetune"), "{A} of eight models that stayed on the plateau", int(added["n = 2 from there"]))
    require_counts(text_of("finetune"), "with a second head added {} of eight runs", int(added["n = 2 from there"]))


def test_alphabet_and_rates_count_theirs() -> None:
    frame = frame_of("alphabet")
    spelled = frame[frame[FAMILY] == "two symbols a token"]
    times = escapes(spelled, [CONDITION], str(spelled["metric"].iloc[0]), alphabet.ESCAPED)
    two = int(times.loc[times[CONDITION] == "n = 2", "time_observed"].sum())
    require_counts(text_of("alphabet"), "fail when spelled, and {} of eight runs escape** (corrected", two)
    found = escapes(frame_of("rates"), [rates.HEADS, rates.RATE])
    ratio = rates.compare(found.rename(columns={"time": "escaped", "time_observed": "escaped_observed"})).ratio
    require_counts(text_of("rates"), "one head needs {} times as many tokens as two\n", round(ratio))
    require_counts(text_of("rates"), "For every seed the other {} choose the rate", found["seed"].nunique() - 1)


def test_fig9_counts_its_runs() -> None:
    text, frame = text_of("fig9"), frame_of("fig9")
    ends = frame[frame["step"] == frame["step"].max()].pivot_table(index="seed", columns=[FAMILY, CONDITION], values="value")
    known = ends["forced steps", "n = 4"] > 0.95
    require_counts(text, "{} of eight runs do not know the forced steps", (~known).sum())
    require_counts(text, "The {} that know them (above 0.95) differ", known.sum())
    require_counts(text, "{A} of eight pairs have this sign", (ends["turns", "n = 2"] > ends["turns", "n = 1"]).sum())
    means = ends.mean().unstack()
    require_counts(text, "**Four heads are behind in all {} measures", (means["n = 4"] < means["n = 1"]).sum())


def test_agreement_counts_its_models() -> None:
    text = text_of("agreement")
    patched = pd.read_csv(RESULTS / "agreement" / "patching.csv").query("arm == 'n = 2' and layers == 2")
    reads, own = (patched["other"] > 0.5).sum(), (patched["own"] == 1).sum()
    require_counts(text, "of sequences for {} seeds, and its own case in all sequences for the other {}.", reads, own)
    second = pd.read_csv(RESULTS / "agreement" / "two-words" / "patching.csv").groupby("seed")["other"].max().round(2)
    whole = (second == 1).sum()
    require_counts(text, "({} against {} of eight), a difference that", whole, reads)
    require_counts(text, "With two heads {} of eight read it (with a second word {} wholly", reads, whole)
    require_counts(text, "wholly and {} in part)", ((second > 0) & (second < 1)).sum())
    require_counts(
        text, "{A} of eight against none of {} may be chance", reads, escape_counts("agreement/longer", ["n_future"])[1]
    )
    terms = escapes(frame_of("agreement/terms"), ["asked"])
    verb = terms.loc[terms["asked"] == "one head for the verb at the key", "time"]
    require_counts(text, "({} of the runs that are asked for the verb escape at", (verb.round(2) == verb.min().round(2)).sum())
    require_counts(text, "after Holm's correction for {} comparisons", terms["asked"].nunique() - 1)


def test_objectives_count_theirs() -> None:
    text, counts = text_of("objectives"), escape_counts("objectives", [CONDITION])
    rows = re.findall(r"^\| (.+?) \| (yes|yes, in doubt|no) \| \**(\d) of 8\** \|", text, re.MULTILINE)
    held = sum((int(count) >= 7) == wanted.startswith("yes") for _, wanted, count in rows)
    require_counts(text, "**The expectation holds for {} of the {}, and fails for {} that", held, len(rows), len(rows) - held)
    compared = report_rows("objectives", "agreement: escape at equal tokens")
    assert {row["found"] for row in compared} == {"yes"}
    require_counts(text, "All {} differences from the sum in the time", len(compared))
    tuned = pd.read_csv(RESULTS / "objectives" / "rates.csv")
    never = (tuned.groupby(CONDITION)["time"].min() == tuned["time"].max()).sum()
    require_counts(text, "Of {} conditions no tuning run knows the case", never)
    best = best_rates(tuned)
    upper = [best[name] == max(BENCHES["agreement"].rates) for name, count in counts.items() if count == 8]
    assert sum(upper) > len(upper) / 2, "For most of those that escape it lies at the upper end"
    heads = report_rows("objectives", "agreement: head 2 knows the case, asked at the key")
    (known,) = (row["head 2 knows it"].split(" of ")[0] for row in heads if row["condition"] == "sequential")
    require_counts(text, "Sequential heads know the case at the key in all {} runs", int(known))


@pytest.mark.parametrize(("task", "phrase"), {
    "stories": "The rate of {} of the {}, next token among them, lies at the upper end of the range.",
    "star": "The rate of {} of the {} lies at the upper end of the range, and of {} no tuning run solved the star:",
}.items())  # fmt: skip
def test_objectives_count_their_rates(task: str, phrase: str) -> None:
    tuned = pd.read_csv(RESULTS / "objectives" / task / "rates.csv")
    best = best_rates(tuned)
    counts = [sum(rate == max(BENCHES[task].rates) for rate in best.values()), len(best)]
    if task == "star":
        counts.append((tuned.groupby(CONDITION)["time"].min() == tuned["time"].max()).sum())
    require_counts(text_of("objectives"), phrase, *counts)


def test_objectives_on_stories_count_their_means() -> None:
    frame = frame_of("objectives/stories")
    means = run_values(frame, BENCHES["stories"].metric).groupby(CONDITION)["value"].mean()
    less = means.drop(SUM) - means[SUM]
    below, far = (less < 0).sum(), (less < -0.1).sum()
    text = text_of("objectives")
    require_counts(text, "All {} means lie below the sum's, {} of them by more than 0.1", below, far)
    require_counts(SUMMARY, "and {} of {} means lie more than 0.1 below the sum's", far, len(less))
    rest = sorted(escape_counts("objectives/stories", [CONDITION], BENCHES["stories"].metric, 0.2).values())[2:-1]
    require_counts(text, "sequential heads in one, the others in {} to {}]", rest[0], rest[-1])


def test_drafts_count_their_networks() -> None:
    two, three = frame_of("s2"), frame_of("s3")
    require_counts(text_of("s2"), "one network of {} drafted it", len(two.drop_duplicates(["n_future", "seed"])))
    ends = three[three["metric"] == "accuracy/second_again/1/1"].groupby("seed")["value"].last()
    require_counts(text_of("s3"), "repeated second names in {} networks and 0.02 in one", (ends > 0.1).sum())
