"""Whole studies: each plans its runs and reports what they show.

A new study is one object, a `Study`, and one line in `STUDIES`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.runs.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from lab.runs import Run
    from lab.sweeping import Sweep

STUDIES: dict[str, str] = {
    "agreement": "lab.reproduce.agreement:STUDY",
    "atlas": "lab.reproduce.atlas:STUDY",
    "controls": "lab.reproduce.controls:STUDY",
    "demo": "lab.reproduce.demo:STUDY",
    "fig7": "lab.reproduce.fig7:STUDY",
    "objectives": "lab.reproduce.objectives:STUDY",
    "rates": "lab.reproduce.rates:STUDY",
    "reach": "lab.reproduce.reach:STUDY",
    "s2": "lab.reproduce.s2:STUDY",
    "s3": "lab.reproduce.s3:STUDY",
    "sizes": "lab.reproduce.sizes:STUDY",
    "star": "lab.reproduce.star:STUDY",
    "star_again": "lab.reproduce.star_again:STUDY",
}
"""Dotted path of each study that `lab reproduce NAME` can run."""


PAGE = "report.md"
"""Name of a study's page."""
FRAME = "frame.csv.gz"
"""The frame that the page's tables follow from."""


@dataclass(frozen=True)
class Stage:
    """A sweep of a study, which can depend on the runs of the stage before.

    Attributes:
        largest: The largest sweep that it can become, for a plan before any run.
        plan: Return the sweep from the finished runs of the stage before; the first stage gets none.
    """

    largest: Sweep
    plan: Callable[[Sequence[Run]], Sweep]


def fixed_stage(sweep: Sweep) -> Stage:
    """Return a stage whose sweep depends on no runs."""
    return Stage(sweep, lambda _: sweep)


@dataclass(frozen=True)
class Study:
    """A study of one question.

    Attributes:
        scales: Settings of each scale at which it can be run.
        stages: Return the stages at a scale, in order.
        report: Write figures, numbers and page at a scale from the finished runs of each stage, and return their paths.
        page: Name of the page.
    """

    scales: Mapping[str, Any]
    stages: Callable[[str], list[Stage]]
    report: Callable[[str, Sequence[Sequence[Run]], Path], list[Path]]
    page: str = PAGE


def write_frame(frame: pd.DataFrame, out: Path) -> Path:
    """Write a frame as compressed CSV; the same frame gives the same bytes."""
    write_atomic(out / FRAME, gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    return out / FRAME
