"""Whole studies: each plans its runs and reports what they show.

A new study is one object, a `Study`, and one line in `STUDIES`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.errors import LabError
from lab.runs.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from lab.runs import Run
    from lab.sweeping import Sweep


class Entry(NamedTuple):
    """A study in the table: its dotted path, and its question."""

    path: str
    question: str


STUDIES: dict[str, Entry] = {
    "agreement": Entry("lab.reproduce.agreement:STUDY", "does a second head help to escape a plateau, and why?"),
    "alphabet": Entry("lab.reproduce.alphabet:STUDY", "does a finer alphabet need more heads? (the paper's 3.3)"),
    "atlas": Entry("lab.reproduce.atlas:STUDY", "on which tasks do further heads help, and does a rule predict it?"),
    "controls": Entry("lab.reproduce.controls:STUDY", "does anything but the information of head 2's targets help?"),
    "demo": Entry("lab.reproduce.demo:STUDY", "the two tasks of `lab demo`"),
    "epochs": Entry("lab.reproduce.epochs:STUDY", "does the advantage stay over several epochs? (the paper's 3.5)"),
    "fig7": Entry("lab.reproduce.fig7:STUDY", "do two heads copy names better, by size? (the paper's Fig 7)"),
    "fig8": Entry("lab.reproduce.fig8:STUDY", "do further heads help with longer expressions? (the paper's Fig 8, S15, S16)"),
    "fig9": Entry("lab.reproduce.fig9:STUDY", "do further heads teach the choices that matter? (the paper's Fig 9, S17)"),
    "finetune": Entry("lab.reproduce.finetune:STUDY", "do fine-tuning with one head, and added heads, help? (3.6, appendix D)"),
    "objectives": Entry("lab.reproduce.objectives:STUDY", "which ingredient of an objective does the work?"),
    "rates": Entry("lab.reproduce.rates:STUDY", "does the advantage of two heads hold at each one's best learning rate?"),
    "reach": Entry("lab.reproduce.reach:STUDY", "how far ahead must a model be asked?"),
    "s14": Entry("lab.reproduce.s14:STUDY", "does the advantage shrink if the data forces induction? (the paper's Fig S14)"),
    "s2": Entry("lab.reproduce.s2:STUDY", "how many tokens does a forward pass give? (the paper's Tab S2)"),
    "s3": Entry("lab.reproduce.s3:STUDY", "how many symbols of spelled words does a pass give? (the paper's Tab S3)"),
    "s4": Entry("lab.reproduce.s4:STUDY", "which kinds of prediction heads help? (the paper's Tab S4)"),
    "sizes": Entry("lab.reproduce.sizes:STUDY", "which question teaches at other depths and widths?"),
    "star": Entry("lab.reproduce.star:STUDY", "does a second head help on path-star graphs?"),
    "star_again": Entry("lab.reproduce.star_again:STUDY", "does a second head without a layer help on path-star graphs?"),
}
"""Every study that `lab reproduce NAME` can run."""


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
        tunes: Whether its runs choose settings. Then a run may diverge: its setting is not chosen.
    """

    largest: Sweep
    plan: Callable[[Sequence[Run]], Sweep]
    tunes: bool = False


def fixed_stage(sweep: Sweep, *, tunes: bool = False) -> Stage:
    """Return a stage whose sweep depends on no runs."""
    return Stage(sweep, lambda _: sweep, tunes)


@dataclass(frozen=True)
class Study:
    """A study of one question.

    Attributes:
        scales: Settings of each scale at which it can be run.
        stages: Return the stages at a scale, in order.
        report: Write figures, numbers and page at a scale from the finished runs of each stage, and return their paths.
        page: Name of the page.
        join: Write the report of a study whose scales are parts of it, from the folders of the reports of parts, and return its
            paths; None for other studies.
    """

    scales: Mapping[str, Any]
    stages: Callable[[str], list[Stage]]
    report: Callable[[str, Sequence[Sequence[Run]], Path], list[Path]]
    page: str = PAGE
    join: Callable[[Sequence[Path], Path], list[Path]] | None = None


def read_parts(parts: Sequence[Path], column: str, names: Collection[str], file: str = FRAME) -> pd.DataFrame:
    """Read a table from the folder of each part's report, and return all their rows, part by part in the order of the study.

    Args:
        parts: The folders.
        column: The column that names a row's part of the study.
        names: All parts of the study, in order.
        file: File of the table.

    Raises:
        LabError: If a folder has no such file, its rows are of another study, or another folder has rows of the same part.
    """
    import pandas as pd

    origins: dict[str, Path] = {}
    tables = []
    for part in parts:
        if not (part / file).is_file():
            raise LabError(f"{part}: has no {file}, as the folder of a study's report has")
        table = pd.read_csv(part / file, dtype=dict.fromkeys((column, "condition"), str))  # a name can be a number, as 0.5
        found = set(table.get(column, [None]))
        if not found <= set(names):
            raise LabError(f"{part}: is the report of another study: its {column} must be one of {', '.join(names)}")
        for name in sorted(found & origins.keys()):
            raise LabError(f"{part}: has {name}, as {origins[name]} has")
        origins |= dict.fromkeys(found, part)
        tables.append(table)
    order = {name: place for place, name in enumerate(names)}
    return pd.concat(tables).sort_values(column, key=lambda values: values.map(order), kind="stable", ignore_index=True)


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table as CSV in one step, and return its path."""
    write_atomic(path, table.to_csv(index=False))
    return path


def write_frame(frame: pd.DataFrame, out: Path) -> Path:
    """Write a frame as compressed CSV; the same frame gives the same bytes."""
    write_atomic(out / FRAME, gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    return out / FRAME
