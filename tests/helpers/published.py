"""The published pages of findings, and what they state."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lab.reports.section import Section, section_markdown

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
SUMMARY, FRONT = (path.read_text(encoding="utf-8") for path in (RESULTS / "README.md", ROOT / "README.md"))


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
