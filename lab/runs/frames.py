"""Frames that were saved as CSV: as `lab.frame(...).to_csv`, a sweep's `frame.csv` or the frames of published results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("run", "n_future", "seed", "step", "metric", "value")
_NUMBERS = ("seed", "step", "tokens", "scored_tokens", "sequences", "flops", "seconds", "parameters", "value")

_MISSING = ("", "nan", "NaN", "NA", "N/A", "<NA>", "null", "NULL", "None")
"""Words for a missing value, but of the name of a run, which may be any text."""


def is_frame(path: Path | str) -> bool:
    """Return whether a path is that of a table, not of a folder."""
    return str(path).endswith((".csv", ".csv.gz")) and not Path(path).is_dir()


def read_frame(path: Path | str) -> pd.DataFrame:
    """Read a tidy frame.

    Raises:
        LabError: If the file cannot be read, or is no frame.
    """
    import pandas as pd

    try:
        missing = {name: _MISSING for name in pd.read_csv(path, nrows=0).columns if name != "run"}
        frame = pd.read_csv(path, low_memory=False, dtype={"run": str}, keep_default_na=False, na_values=missing)
    except FileNotFoundError:
        raise LabError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise LabError(f"{path}: cannot be read: {error}") from error
    check_frame(frame, f"{path}: is no frame of runs", NEEDED, _NUMBERS)
    return frame


def check_frame(frame: pd.DataFrame, complaint: str, needed: Iterable[str], numbers: Iterable[str]) -> None:
    """Check that a frame has rows, the columns that are needed, and numbers in those that hold numbers.

    Raises:
        LabError: Beginning with the complaint.
    """
    from pandas.api.types import is_numeric_dtype

    missing = [column for column in needed if column not in frame.columns]
    if missing or frame.empty:
        raise LabError(f"{complaint}: it has no {', '.join(missing) or 'rows'}")
    for column in numbers:
        if column in frame.columns and not is_numeric_dtype(frame[column]):
            raise LabError(f"{complaint}: {column} must be a number in every row")
