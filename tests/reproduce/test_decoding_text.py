"""The pages of s2 and s3, and the tables that name them, have the numbers of their frames."""

import re

import pandas as pd
import pytest

from lab.stats.bootstrap import mean_with_interval
from tests.helpers.published import FRONT, RESULTS, SUMMARY, frame_of, report_rows, require, text_of

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
    words, names = drafts["word/2"][1:], drafts["first_new/2"]
    require(text, f"({min(words)} to {max(words)}), in names they do not ({min(names)} to {max(names)} for new")
    known = frame[frame["metric"] == "accuracy/second_again/1/1"].groupby("seed")["value"].last().sort_values()
    require(text, f"predicts {known.iloc[1]:.2f} to {known.iloc[-1]:.2f} of the first symbols")
    require(text, f"and {known.iloc[0]:.2f} in one (seed {known.index[0]}")


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
    eight = [spelled["n = 8", heads, 1] for heads in (2, 4, 8)]
    require(
        text_of("s3"),
        f"{eight[0]}, {eight[1]} and {eight[2]} times the speed",
        f"and {spelled['n = 8', 8, 8]} with 8 sequences",
    )
