"""The pages in results/ say what follows from the frames beside them, by today's code."""

from pathlib import Path

import pandas as pd
import pytest

from lab.reproduce import agreement, fig7, star
from lab.reproduce.fig7.page import by_rates, sections_of, tuning_sections
from lab.reproduce.fig7.plan import best_rates
from lab.reproduce.page import READING, markdown_table
from lab.reproduce.plateau import Plateau
from lab.sweeping.files import load

ROOT = Path(__file__).parents[2]
RESULTS, SWEEPS = ROOT / "results", ROOT / "sweeps"


@pytest.mark.parametrize("study", [star.STUDY, agreement.STUDY], ids=lambda study: study.name)
def test_every_table_of_a_study_follows_from_its_frame(study: Plateau) -> None:
    page = (RESULTS / study.name / "report.md").read_text(encoding="utf-8")
    tables = study.tables(pd.read_csv(RESULTS / study.name / "frame.csv"))
    assert len(tables) >= 4
    for heading, table in tables.items():
        assert f"## {heading}\n\n{markdown_table(table)}\n" in page


@pytest.mark.parametrize("name", ["agreement", "fig7", "star"])
def test_every_page_says_how_its_tables_are_to_be_read(name: str) -> None:
    page = (RESULTS / name / "report.md").read_text(encoding="utf-8")
    assert f"## How to read the tables\n\n{READING.format(sequences=256)}\n" in page
    assert page.count("p_least") >= 1
    assert page.count("found") >= 1


def test_published_studies_state_how_many_sequences_measure_them() -> None:
    """256 sequences, whatever a task's default becomes: the numbers of published runs must not move."""
    published = [sweep(()) for study in (star, agreement, fig7) for sweep in study.sweeps("laptop")]
    published += [load(SWEEPS / f"{name}.yaml") for name in ("longer", "two_words")]
    assert [sweep.base["evaluation.examples"] for sweep in published] == [256] * len(published)


def test_every_table_of_fig7_follows_from_its_frame_and_rates() -> None:
    page = (RESULTS / "fig7" / "report.md").read_text(encoding="utf-8")
    named, chances = (pd.read_csv(RESULTS / "fig7" / name) for name in ("frame.csv", "rates.csv"))
    order = list(named.sort_values("parameters")["size"].unique())
    named = named.assign(size=pd.Categorical(named["size"], categories=order, ordered=True))
    rates = best_rates("laptop", chances)
    of_rate = by_rates(named, rates)
    sections = sections_of(of_rate, [f"rate tuned with n = {n}" for n in of_rate]) | tuning_sections(chances, rates)
    assert len(sections) == 10
    for heading, text in sections.items():
        assert f"## {heading}\n\n{text}\n" in page
