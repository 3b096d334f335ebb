"""The pages of studies that compare conditions, and of the atlas, follow from the frames next to them."""

import re
from importlib import import_module

import pandas as pd
import pytest

from lab.reproduce import STUDIES, read_parts
from lab.reproduce.atlas.effects import effects_of
from lab.reproduce.atlas.page import sections_of as atlas_sections
from lab.reproduce.atlas.rule import RULE
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.comparison.page import sections_of as comparison_sections
from lab.reproduce.comparison.plan import CONDITION, FAMILY
from lab.reproduce.comparison.tables import end_table, interaction_table, times_of
from lab.stats.configurations import run_values
from lab.stats.times import describe_time, time_table
from tests.helpers.published import RESULTS, frame_of, require_sections, text_of


def comparisons() -> dict[str, Comparison]:
    """Return the published studies that compare conditions, by name."""
    modules = {name: import_module(entry.path.partition(":")[0]) for name, entry in STUDIES.items()}
    published = {name: module for name, module in modules.items() if (RESULTS / name / "README.md").exists()}
    return {name: module.COMPARISON for name, module in published.items() if hasattr(module, "COMPARISON")}


COMPARISONS = comparisons()


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_follows_from_its_frame(name: str) -> None:
    sections = comparison_sections(COMPARISONS[name], frame_of(name))
    assert len(sections) >= 5
    require_sections(name, sections)


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_states_the_escapes_of_its_frame(name: str) -> None:
    """The rows `| family | condition | k of n | median |` of its README are right, and have every condition of the study."""
    text = text_of(name)
    rows = re.findall(r"^\| (.+?) \| (.+?) \| \**(\d+) of (\d+)\** \| (\S+) \|$", text, re.MULTILINE)
    stated = {(family, condition): (int(escaped), int(runs), median) for family, condition, escaped, runs, median in rows}
    frame, found = frame_of(name), {}
    for family_name in dict.fromkeys(frame[FAMILY]):
        if (family := COMPARISONS[name].families[family_name]).escaped is not None:
            times = time_table(times_of(family, frame[frame[FAMILY] == family_name]), "escaped", [CONDITION])
            for row in times.to_dict("records"):
                median = describe_time(row)["median M tokens"]
                found[family_name, row[CONDITION]] = (row["escaped"], row["runs"], median)
    assert stated == found


@pytest.mark.parametrize(
    "name", [name for name, each in COMPARISONS.items() if not all(f.escaped for f in each.families.values())]
)
def test_a_comparison_states_the_ends_of_its_frame(name: str) -> None:
    """The rows `| family | condition | mean | difference [low, high] | p |` of its README are right, and complete."""
    text = text_of(name)
    frame, rows = frame_of(name), []
    for family_name, family in COMPARISONS[name].families.items():
        if family.escaped is None:
            own = frame[frame[FAMILY] == family_name]
            means = run_values(own, family.metric).groupby(CONDITION)["value"].mean()
            compared = end_table(family, own).set_index("condition")
            for condition, mean in means.items():
                cells = [family_name, condition, f"{mean:.2f}", "-", "-"]
                if condition in compared.index:
                    row = compared.loc[condition]
                    cells[3:] = [f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]", f"{row['p_holm']:.2g}"]
                rows.append(f"| {' | '.join(cells)} |")
    assert re.findall(r"^\| .* \| n = \d \| .* \|$", text, re.MULTILINE) == rows


def test_s14_states_the_changes_of_its_frame() -> None:
    text = text_of("s14")
    changes = interaction_table(COMPARISONS["s14"], frame_of("s14"))
    nine, one = ([f"{each:+.2f}" for each in part] for part in (changes["change"][1::2], changes["change"][::2]))
    least = f"the least corrected p of the four is {changes['p_holm'].min():.2f}"
    assert f"({' and '.join(nine)} with nine in ten, {' and '.join(one)} with one in ten; {least})" in text
    assert f"reach from {changes['low'].min():+.2f} to {changes['high'].max():+.2f}" in text
    assert changes["p_holm"].min() > 0.1


def test_the_atlas_follows_from_the_frames_of_its_tasks() -> None:
    frame = read_parts([part.parent for part in (RESULTS / "atlas").glob("*/frame.csv.gz")], "task", RULE)
    pd.testing.assert_frame_equal(frame, frame_of("atlas"))
    require_sections("atlas", atlas_sections(frame))
    rows = []
    for row in effects_of(frame).to_dict("records"):
        effect = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        verdict = ("helps" if row["difference"] > 0 else "hurts") if row["found"] else "nothing"
        cells = [row["task"], str(row["score"]), row["condition"], effect, f"{row['p_holm']:.2g}", verdict]
        rows.append(f"| {' | '.join(cells)} |")
    assert re.findall(r"^\| .* \| n = \d, equal .* \|$", text_of("atlas"), re.MULTILINE) == rows
