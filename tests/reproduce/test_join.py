"""Reports of a study's parts, joined: the whole report's tables, from folders alone."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from lab.errors import LabError
from lab.registry import load_object
from lab.reports.section import section_markdown
from lab.reproduce import FRAME, PAGE, STUDIES, Study, read_parts, write_frame
from lab.reproduce.objectives.page import LOSSES, RATES, sections_of
from lab.runs.outputs import check_folder
from tests.helpers.published import RESULTS


def study_of(name: str) -> Study:
    """Return a study by name."""
    study: Study = load_object(STUDIES[name].path, "study")
    return study


def split(frame: pd.DataFrame, column: str, folder: Path) -> list[Path]:
    """Write the rows of each part of a frame to a folder of its own, in reverse order."""
    parts = [folder / str(name) for name in reversed(frame[column].unique())]
    for part in parts:
        part.mkdir(parents=True)
        write_frame(frame[frame[column] == part.name], part)
    return parts


def body(page: Path) -> str:
    """Return a page without its notes on reading and origin."""
    return page.read_text(encoding="utf-8").partition("\n## How to read")[0].partition("\n## Where this comes from")[0]


def test_parts_of_a_comparison_give_the_page_of_the_whole(tmp_path: Path) -> None:
    join, whole = study_of("epochs").join, RESULTS / "epochs"
    assert join is not None
    parts = split(pd.read_csv(whole / FRAME), "family", tmp_path / "parts")
    assert len(parts) > 1
    written = join(parts, tmp_path / "joined")
    assert body(tmp_path / "joined" / PAGE) == body(whole / PAGE)
    for file in (FRAME, "epochs.csv"):
        assert (tmp_path / "joined" / file).read_bytes() == (whole / file).read_bytes()
    assert sorted(written) == sorted((tmp_path / "joined").iterdir())
    text = (tmp_path / "joined" / PAGE).read_text(encoding="utf-8")
    assert all(f"[{part.name}](../parts/{part.name}/{PAGE})" in text for part in parts)
    check_folder(tmp_path / "joined", PAGE)  # a second join may replace the first


def test_one_part_of_the_objectives_gives_its_own_page(tmp_path: Path) -> None:
    join, whole, part = study_of("objectives").join, RESULTS / "objectives", tmp_path / "part"
    assert join is not None
    shutil.copytree(whole, part)
    frame, rates = pd.read_csv(whole / FRAME), pd.read_csv(whole / RATES)
    frame = frame[frame["seed"] <= frame["seed"].min() + 1]  # exact tests of two seeds are quick
    write_frame(frame, part)
    join([part], tmp_path / "joined")
    page = (tmp_path / "joined" / PAGE).read_text(encoding="utf-8")
    assert page.splitlines()[0] == (whole / PAGE).read_text(encoding="utf-8").splitlines()[0]
    for section in sections_of(frame, rates):
        assert section_markdown(section) in page
    for file in (FRAME, RATES, LOSSES):
        assert (tmp_path / "joined" / file).read_bytes() == (part / file).read_bytes()


def test_names_of_parts_and_conditions_stay_text(tmp_path: Path) -> None:
    names = pd.DataFrame({"family": ["8192"] * 2 + ["512"] * 2, "condition": ["0.1", "1", "0.25", "2"]})
    read = read_parts(split(names, "family", tmp_path), "family", ["8192", "512"])
    assert read.to_dict("list") == names.to_dict("list")


def test_studies_of_one_sweep_have_no_parts() -> None:
    assert study_of("s4").join is None


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("twice", "has 2048 sequences, as .* has"),
        ("empty", "has no frame.csv.gz, as the folder of a study's report has"),
        ("other", "is the report of another study: its family must be one of"),
    ],
)
def test_folders_that_are_no_parts_are_rejected(which: str, message: str, tmp_path: Path) -> None:
    join = study_of("epochs").join
    assert join is not None
    parts = split(pd.read_csv(RESULTS / "epochs" / FRAME), "family", tmp_path / "parts")
    (tmp_path / "empty").mkdir()
    added = {"twice": RESULTS / "epochs", "empty": tmp_path / "empty", "other": RESULTS / "reach"}[which]
    with pytest.raises(LabError, match=message):
        join([*parts, added], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
