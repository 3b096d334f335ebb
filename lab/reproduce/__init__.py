"""Whole studies: each plans its runs and reports what they show.

A new study is one object, a `Study`, and one line in `STUDIES`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lab.runs.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from lab.runs import Run
    from lab.sweeping import Sweep

STUDIES: dict[str, str] = {
    "agreement": "lab.reproduce.agreement:STUDY",
    "fig7": "lab.reproduce.fig7:STUDY",
    "star": "lab.reproduce.star:STUDY",
}
"""What `lab reproduce NAME` can do."""


class Study(Protocol):
    """A study of one question."""

    @property
    def scales(self) -> Mapping[str, Any]:
        """Scales at which it can be run."""

    def sweeps(self, scale: str) -> list[Callable[[Sequence[Run]], Sweep]]:
        """Return its sweeps in order, each a function from the finished runs of the one before to the sweep.

        From no runs it plans the largest sweep that it can become.
        """

    def report(self, scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
        """Write figures, numbers and page from the finished runs of each sweep."""


PAGE = "report.md"
"""The page that every one of them writes."""
FRAME = "frame.csv.gz"
"""The frame that a page follows from."""


def write_frame(frame: pd.DataFrame, out: Path) -> Path:
    """Write a frame as compressed CSV; the same frame gives the same bytes."""
    write_atomic(out / FRAME, gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    return out / FRAME
