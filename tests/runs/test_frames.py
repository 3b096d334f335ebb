"""Frames that are read from CSV are those that were saved."""

from pathlib import Path

import lab
from lab.runs.frames import read_frame
from tests.helpers.frames import synthetic_frame


def test_a_name_of_a_run_is_text(tmp_path: Path) -> None:
    """pandas takes null and NA for missing values, and 007 for 7."""
    frame = synthetic_frame([{"n_future": n} for n in (1, 2)], lambda own, seed, step: {"exact": own["n_future"] / 4}, seeds=2)
    names = {"0-0": "null", "0-1": "007", "1-0": "NA", "1-1": "7"}
    frame["run"] = frame["run"].map(names)
    frame.to_csv(tmp_path / "frame.csv", index=False)
    read = read_frame(tmp_path / "frame.csv")
    assert list(read["run"].unique()) == list(names.values())
    assert lab.compare(read, metric="exact").frame["runs"].tolist() == [2, 2]
