"""The pages of s2 and s3, and the tables that name them, have the numbers of their frames."""

import json
import re

import pandas as pd
import pytest

from lab.registry import load_object
from lab.reproduce.speculation import Speculation
from lab.stats.bootstrap import mean_with_interval
from tests.helpers.published import FRONT, LOG, RESULTS, ROOT, SUMMARY, frame_of, report_rows, require, text_of

ROWS = {"s2": (2, 3, 4, 8), "s3": (2, 4, 8)}
"""Heads used in the table of each page."""


def measured(name: str, metric: str) -> pd.Series:
    """Return the mean of a metric by condition, heads used and sequences at a time."""
    table = pd.read_csv(RESULTS / name / "speedup.csv")
    return table[table["metric"] == metric].set_index(["condition", "heads", "batch"])["mean"].map("{:.2f}".format)


@pytest.mark.parametrize("name", ROWS)
def test_a_page_states_its_tokens_per_forward(name: str) -> None:
    text, table = text_of(name), pd.read_csv(RESULTS / name / "speedup.csv")
    for row in table[(table["metric"] == "tokens_per_forward") & table["heads"].isin(ROWS[name])].to_dict("records"):
        cell = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        assert re.search(rf"^\| {row['heads']} \|.*{re.escape(cell)} \|", text, re.MULTILINE), cell


def test_summaries_state_tokens_per_forward() -> None:
    four = [measured("s2", "tokens_per_forward")["n = 4", heads, 1] for heads in (2, 3, 4)]
    eight = [measured("s3", "tokens_per_forward")["n = 8", heads, 1] for heads in (2, 4, 8)]
    stated = f"{four[0]}, {four[1]} and {four[2]} tokens"
    require(SUMMARY, f"gives {stated}", f"and {measured('s2', 'tokens_per_forward')['n = 8', 8, 1]} with 8;")
    require(FRONT, f"2, 3 and 4 heads give {stated} per forward pass")
    require(SUMMARY, f"{eight[0]}, {eight[1]} and {eight[2]} symbols per forward with 2, 4 and 8 heads")


def test_s2_states_where_drafts_fail_and_what_is_known() -> None:
    text, frame = text_of("s2"), frame_of("s2")
    drafts = {row["role"]: row["head 2"] for row in report_rows("s2", "Where drafts fail") if row["n"] == "4"}
    new, again, second = (drafts[role] for role in ("first_new", "first_again", "second_again"))
    words = f"{drafts['word']} of the words, {new} of the first tokens of new names, {again} of those of repeated names"
    require(text, f"accepted at {words}, and {second} of second tokens", f"words as well, where {drafts['word']} are accepted")
    known = frame[frame["metric"] == "accuracy/second_again/1"].groupby("n_future")["value"]
    four, eight = (mean_with_interval(known.get_group(n).tolist(), 2) for n in (4, 8))
    require(text, f"copies {four} of the repeated second names with n = 4, and {eight} with n = 8")


def test_s3_states_where_drafts_fail_and_what_is_known() -> None:
    text, frame = text_of("s3"), frame_of("s3")
    drafts = {row["role"]: [row[f"head {head}"] for head in range(2, 9)] for row in report_rows("s3", "Where drafts fail")}
    first, new, again = (drafts[f"{role}/1"][0] for role in ("word", "first_new", "first_again"))
    require(text, f"{first} of the first symbols of words, {new} of those of new first names and {again} of those")
    require(text, f"accepted at {first} of the first symbols and {drafts['word/2'][0]} of the second")
    require(text, f"accepted at {drafts['all'][0]} of the positions, heads 3 to 5 at {min(drafts['all'][1:4])} to 0.87")
    reached, lost = 1.0, []
    for head, share in enumerate(map(float, drafts["all"])):
        lost.append(reached * (1 - share) * (7 - head))  # a draft that fails takes those after it along
        reached *= share
    assert lost[0] > sum(lost) / 2, "Most of the loss is at the start of the draft."
    words, names = drafts["word/2"][1:], drafts["first_new/2"]
    require(text, f"({min(words)} to {max(words)}), in names they do not ({min(names)} to {max(names)} for new")
    known = frame[frame["metric"] == "accuracy/second_again/1/1"].groupby("seed")["value"].last().sort_values()
    require(text, f"predicts {known.iloc[1]:.2f} to {known.iloc[-1]:.2f} of the first symbols")
    require(text, f"and {known.iloc[0]:.2f} in one (seed {known.index[0]}")


@pytest.mark.parametrize("name", ROWS)
def test_a_page_states_what_was_expected_and_the_paper_s(name: str) -> None:
    study: Speculation = load_object(f"lab.reproduce.{name}:SPECULATION", "study")
    rows = [line.removesuffix("|").split("|")[-2:] for line in text_of(name).splitlines() if re.match(r"\| \d ", line)]
    for heads, (expected, stated) in zip(ROWS[name], rows, strict=True):
        assert expected.strip() in study.expectation
        of_paper = study.paper.get(heads, {}).get("tokens_per_forward", {})
        assert stated.strip() == ", ".join(f"{value:.2f}" for value in of_paper.values())
    ranges = [expected.strip() for expected, _ in rows]
    assert len({*ranges}) == len(rows)
    listed = (
        f"{', '.join(ranges[:3])}, with 8 heads {ranges[-1]} |" if name == "s2" else f"with 8 heads were to be {ranges[-1]} |"
    )
    require(LOG, listed)


def test_pages_state_the_speed_of_the_paper() -> None:
    two, three = (load_object(f"lab.reproduce.{name}:SPECULATION", "study").paper for name in ROWS)
    wiki = (two[heads]["speedup"]["wiki"] for heads in (2, 3, 4))
    require(text_of("s2"), "(the paper, on wiki: {}, {} and {} with 2, 3 and 4)".format(*wiki))
    require(text_of("s3"), "on a GPU: {}, {} and {}).".format(*(three[heads]["speedup"]["bytes"] for heads in (2, 4, 8))))
    ranges = [sorted(two[heads]["tokens_per_forward"].values()) for heads in (2, 3, 4)]
    require(SUMMARY, "(paper: {}), and".format(", ".join(f"{each[0]:.2f} to {each[-1]:.2f}" for each in ranges)))
    expected, bytes_read = (
        [line.split(" | ")[column].strip("| ") for line in text_of("s3").splitlines() if re.match(r"\| \d ", line)]
        for column in (3, 4)
    )
    require(SUMMARY, f"(expected {expected[0]}, {expected[1]} and {expected[2]}; paper, bytes: {bytes_read[2]} with 8)")


def test_pages_state_what_their_frames_compare() -> None:
    frames = {name: frame_of(name) for name in ROWS}
    sequences = {}
    for name, frame in frames.items():
        differ = frame[frame["metric"] == "differences"]
        assert differ["value"].sum() == 0
        sequences[name] = differ.loc[differ["heads"] > 1, "batch"].sum()
    require(text_of("s2"), f"in all {sequences['s2']} completions")
    require(text_of("s3"), f"in all {sequences['s3']} completions")
    ends = frames["s2"][frames["s2"]["metric"].str.startswith("acceptance_given_reached/end")]
    assert len(ends.groupby(["n_future", "seed"])) == 1, "one network of sixteen drafted the end of a story"
    tokens = {name: pd.read_csv(RESULTS / name / "speedup.csv").query("metric == 'tokens_per_forward'") for name in ROWS}
    mean = {name: table.set_index(["condition", "heads"])["mean"] for name, table in tokens.items()}
    whole, spelled = mean["s2"]["n = 8"], mean["s3"]["n = 8"]
    for heads in ROWS["s3"]:
        assert re.search(rf"^\| {heads} \| [^|]+ \| {2 * whole[heads // 2]:.2f} \|", text_of("s3"), re.MULTILINE)
    require(
        text_of("s3"), f"8 heads give {spelled[8] / 2:.1f} for each pass, where 4 heads on whole tokens give {whole[4]:.1f}."
    )
    require(text_of("s2"), f"those of 4 heads** ({whole[4]:.2f} and {mean['s2']['n = 4', 4]:.2f})")
    each = frames["s3"][(frames["s3"]["metric"] == "tokens_per_forward") & (frames["s3"]["heads"] == 8)].set_index("seed")[
        "value"
    ]
    require(
        text_of("s3"), f"({each.min():.1f} to {each.max():.1f} symbols with 8 heads)", f"(seed 415, {each[415]:.2f} symbols)"
    )


def test_pages_state_their_wall_time() -> None:
    speed, spelled = measured("s2", "speedup"), measured("s3", "speedup")
    four = [speed["n = 4", heads, 1] for heads in (2, 3, 4)]
    stated = f"{four[0]}, {four[1]} and {four[2]} times the speed of head 1 alone with 2, 3 and 4 heads of n = 4"
    require(text_of("s2"), f"{stated}, and {speed['n = 8', 8, 1]} with 8 of n = 8")
    batches = [speed[f"n = {n}", n, batch] for n in (4, 8) for batch in (8, 32)]
    require(
        text_of("s2"),
        f"{batches[0]} with 8 sequences at a time and {batches[1]} with 32, of n = 8 {batches[2]} and {batches[3]}",
    )
    alone = [measured(name, "speedup")[f"n = {n}", 1, 1] for name, n in (("s2", 4), ("s2", 8), ("s3", 8))]
    require(text_of("s2"), f"should be 1, gave {alone[0]} and {alone[1]})")
    require(text_of("s3"), f"(head 1 against itself gave {alone[2]})")
    require(SUMMARY, f"{float(four[2]):.1f} times as fast with 4 heads, one sequence at a time")
    eight = [spelled["n = 8", heads, 1] for heads in (2, 4, 8)]
    require(
        text_of("s3"),
        f"{eight[0]}, {eight[1]} and {eight[2]} times the speed",
        f"and {spelled['n = 8', 8, 8]} with 8 sequences",
    )


def test_s2_states_the_ceilings_of_its_notebook() -> None:
    cells = json.loads((ROOT / "notebooks" / "08_decoding.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(each.get("data", {}).get("text/html", [])) for cell in cells for each in cell.get("outputs", [])]
    (table,) = [text for text in texts if "temperature 1, ceiling" in text]
    names, values = (re.findall(rf"<{tag}>([^<]+)</{tag}>", table) for tag in ("th", "td"))
    rows = [dict(zip(names, row, strict=False)) for row in zip(*[iter(values)] * 5, strict=True)][1:]  # not head 1 alone
    found = {name: [row[name] for row in rows] for name in names[:5]}
    one, greedy = (
        ["{}, {} and {}".format(*found[f"{name}, {kind}"]) for kind in ("ceiling", "measured")]
        for name in ("temperature 1", "greedy")
    )
    require(text_of("s2"), f"heads {one[0]} tokens per forward at temperature 1, where a trained network has {one[1]}.")
    require(text_of("s2"), f"it is no bound ({greedy[0]} against {greedy[1]} measured)")
    require(
        LOG,
        "| {} against {} with 4 heads in greedy".format(*(found[f"greedy, {kind}"][-1] for kind in ("measured", "ceiling"))),
    )


def test_the_log_states_what_drafts_gave() -> None:
    rows = {row["role"]: row["head 2"] for row in report_rows("s2", "Where drafts fail") if row["n"] == "4"}
    require(LOG, f"accepted nearly always | {rows['second_again']}: the networks", f"| {rows['word']} are accepted there |")
    forward = {
        name: pd.read_csv(RESULTS / name / "speedup.csv").query("metric == 'tokens_per_forward'") for name in ("s2", "s3")
    }
    mean = {name: table.set_index(["condition", "heads"])["mean"] for name, table in forward.items()}
    drafts = [mean["s2"]["n = 4", heads] for heads in (2, 3, 4)]
    require(LOG, "| {:.2f}, {:.2f}, {:.2f} and {:.2f}: below each range |".format(*drafts, mean["s2"]["n = 8", 8]))
    require(
        LOG,
        "| {:.2f}, {:.2f}, {:.2f} with 2, 4, 8 heads: failed again".format(
            *(mean["s3"]["n = 8", heads] for heads in (2, 4, 8))
        ),
    )
    spelled = {row["role"]: [row[f"head {head}"] for head in range(2, 9)] for row in report_rows("s3", "Where drafts fail")}
    words, names = spelled["word/2"][1:], spelled["first_new/2"]
    require(
        LOG,
        f"from head 3 on ({min(words)} to {max(words)} accepted); in new first names {min(names)} to {max(names)} are accepted",
    )
