"""The report of a study that compares conditions: one figure, and tables for each family."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_joined_page, write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, read_parts, write_frame
from lab.reproduce.comparison.configuration import Comparison, Family
from lab.reproduce.comparison.figure import draw
from lab.reproduce.comparison.plan import FAMILY, named_frame
from lab.reproduce.comparison.tables import end_table, escape_table, interaction_table, run_table
from lab.runs import Run
from lab.stats.power import detectable_share

BASELINES = (0.0, 0.25, 0.5)
POWER = """\
The least share of runs that escape which Fisher's exact test, corrected for all comparisons of the family, tells from the \
baseline's share with a probability of 0.8."""


def report(comparison: Comparison, scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figure, frame and page from the finished runs of each family of a scale, and return their paths."""
    names = comparison.scales[scale]
    frames = [named_frame(name, comparison.families[name], runs) for name, runs in zip(names, finished, strict=True)]
    frame = pd.concat(frames, ignore_index=True)
    page = write_page(out / PAGE, comparison.title, sections_of(comparison, frame), list(dict.fromkeys(chain(*finished))))
    return [*_draw(comparison, frame, out), write_frame(frame, out), page]


def join(comparison: Comparison, parts: Sequence[Path], out: Path) -> list[Path]:
    """Write figure, frame and page of all families from the folders of reports of some of them, and return their paths."""
    frame = read_parts(parts, FAMILY, comparison.families)
    pages = [part / PAGE for part in parts]
    out.mkdir(parents=True, exist_ok=True)
    page = write_joined_page(out / PAGE, comparison.title, sections_of(comparison, frame), pages)
    return [*_draw(comparison, frame, out), write_frame(frame, out), page]


def _draw(comparison: Comparison, frame: pd.DataFrame, out: Path) -> list[Path]:
    with plots.style():
        return save(*draw(comparison.families, frame), out / f"{comparison.name}.png")


def sections_of(comparison: Comparison, frame: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame."""
    sections = [
        Section("The question", comparison.question),
        Section("What was expected, written before the runs", comparison.expectation),
    ]
    for name in dict.fromkeys(frame[FAMILY]):
        sections += family_sections(name, comparison.families[name], frame[frame[FAMILY] == name])
    changes = interaction_table(comparison, frame)
    if len(changes):
        sections.append(Section("How differences from the baseline at the end change from family to family", table=changes))
    return [*sections, Section("What the runs cannot show", comparison.limits)]


def family_sections(name: str, family: Family, own: pd.DataFrame) -> list[Section]:
    """Return the sections of a family, which follow from its rows of the frame."""
    base, label = family.reference, family.label
    sections = [Section(f"{name}: runs", table=run_table(family, own))]
    if family.escaped is not None:
        past = f"{label} past {family.escaped:g}, twice in a row"
        sections.append(
            Section(f"{name}: escape at equal tokens, against {base} ({past})", table=escape_table(family, own, "tokens"))
        )
        sections.append(Section(f"{name}: what so many runs can find", POWER, table=power_table(family, own)))
    return [*sections, Section(f"{name}: {label} at the end, against {base}", table=end_table(family, own))]


def power_table(family: Family, own: pd.DataFrame) -> pd.DataFrame:
    """Return the least share of escapes that differs from a baseline's with a probability of 0.8, for some baselines."""
    runs, comparisons = own["seed"].nunique(), len(family.conditions) - 1
    found = {share: detectable_share(share, runs, comparisons) for share in BASELINES}
    return pd.DataFrame(
        {"escaped, baseline": f"{share:.2f}", "least share found": "none" if least is None else f"{least:.2f}"}
        for share, least in found.items()
    )
