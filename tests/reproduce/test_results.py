"""The pages in results/ say what follows from the frames beside them, by today's code."""

from pathlib import Path

import pandas as pd
import pytest

from lab.reproduce import agreement, star
from lab.reproduce.fig7.page import by_rates, sections_of, tuning_sections
from lab.reproduce.fig7.plan import best_rates
from lab.reproduce.page import markdown_table
from lab.reproduce.plateau import Plateau

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("study", [star.STUDY, agreement.STUDY], ids=lambda study: study.name)
def test_every_table_of_a_study_follows_from_its_frame(study: Plateau) -> None:
    page = (RESULTS / study.name / "report.md").read_text(encoding="utf-8")
    tables = study.tables(pd.read_csv(RESULTS / study.name / "frame.csv"))
    assert len(tables) >= 4
    for heading, table in tables.items():
        assert f"## {heading}\n\n{markdown_table(table)}\n" in page


def test_every_table_of_fig7_follows_from_its_frame_and_rates() -> None:
    page = (RESULTS / "fig7" / "report.md").read_text(encoding="utf-8")
    named, chances = (pd.read_csv(RESULTS / "fig7" / name) for name in ("frame.csv", "rates.csv"))
    order = list(named.sort_values("parameters")["size"].unique())
    named = named.assign(size=pd.Categorical(named["size"], categories=order, ordered=True))
    rates = best_rates("laptop", chances)
    of_rate = by_rates(named, rates)
    sections = sections_of(of_rate, [f"rate tuned with n = {n}" for n in of_rate]) | tuning_sections(chances, rates)
    assert len(sections) == 14
    for heading, text in sections.items():
        assert f"## {heading}\n\n{text}\n" in page
