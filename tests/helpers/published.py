"""The published pages of findings, and what they state."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from lab.reports.section import Section, section_markdown
from lab.stats.emergence import emergence_table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
SUMMARY, LOG, FRONT = (
    path.read_text(encoding="utf-8") for path in (RESULTS / "README.md", RESULTS / "LOG.md", ROOT / "README.md")
)

CASE = "accuracy/case_first/1"


def text_of(name: str) -> str:
    return (RESULTS / name / "README.md").read_text(encoding="utf-8")


def page_of(name: str) -> str:
    return (RESULTS / name / "report.md").read_text(encoding="utf-8")


def frame_of(name: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / name / "frame.csv.gz", dtype=dict.fromkeys(("family", "condition"), str))


def require(text: str, *phrases: str) -> None:
    """Check that a page has each phrase once, so that no other sentence can stand in for one that changed."""
    assert [phrase for phrase in phrases if text.count(phrase) != 1] == []


def require_sections(name: str, sections: Iterable[Section]) -> None:
    """Check that a study's `report.md` has all these sections."""
    page = page_of(name)
    assert [section.title for section in sections if f"{section_markdown(section)}\n" not in page] == []


def report_rows(name: str, heading: str) -> list[dict[str, str]]:
    """Return the first table of `report.md` under a heading; test_results.py compares that page with the frame."""
    section = page_of(name).split(f"\n## {heading}")[1]
    table = section.split("\n## ")[0].split("| ", 1)[1].split("\n\n")[0]
    header, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def escapes(frame: pd.DataFrame, by: list[str], metric: str = CASE, threshold: float = 0.6) -> pd.DataFrame:
    """Return when each run passed a threshold, as `time` in M tokens."""
    times = emergence_table(frame, metric, thresholds={"time": threshold}, by=by)
    return times.assign(time=times["time"] / 1e6)


def escape_counts(name: str, by: list[str], metric: str = CASE, threshold: float = 0.6) -> dict[Any, int]:
    """Return how many runs of each condition passed a threshold, by the value of the one column, or the values of several."""
    times = escapes(frame_of(name), by, metric, threshold)
    return {key: int(count) for key, count in times.groupby(by if len(by) > 1 else by[0])["time_observed"].sum().items()}


def end_of(frame: pd.DataFrame) -> float:
    """Return the length of the longest run in M tokens."""
    return float(frame["tokens"].max()) / 1e6


def span(values: pd.Series, digits: int = 2) -> str:
    return f"{values.min():.{digits}f} to {values.max():.{digits}f}"


def shown(rate: float) -> str:
    """Return a small number as the pages write it: 1.6e-2."""
    mantissa, exponent = f"{rate:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
