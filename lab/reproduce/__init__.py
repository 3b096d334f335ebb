"""Figures of papers from nothing: each file plans its runs and says what they show.

A new one is one module here and one line in `REPRODUCTIONS`. The module has

    SCALES                          what can be asked for
    sweeps(scale)                   its sweeps in order: of each a function from the finished runs of the one before to the
                                    sweep; from no runs it plans the largest that it can become
    report(scale, finished, out)    figures, numbers and page from the finished runs of each sweep
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from lab.runs.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

REPRODUCTIONS: dict[str, str] = {
    "agreement": "lab.reproduce.agreement",
    "fig7": "lab.reproduce.fig7",
    "star": "lab.reproduce.star",
}
"""What `lab reproduce NAME` can do, and the module that does it."""

PAGE = "report.md"
"""The page that every one of them writes."""
FRAME = "frame.csv.gz"
"""The frame that a page follows from."""


def write_frame(frame: pd.DataFrame, out: Path) -> Path:
    """Write a frame as compressed CSV; the same frame gives the same bytes."""
    write_atomic(out / FRAME, gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    return out / FRAME
