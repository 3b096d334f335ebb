"""The comparison of the conditions of a study as one table: to be read, printed in a paper, or computed with."""

from __future__ import annotations

import html
import json
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lab.metrics import Metric
from lab.reports.tables import NOTHING, decimals, latex_table, markdown_table, plain_table
from lab.runs.files import write_atomic
from lab.runs.outputs import check_file
from lab.stats.bootstrap import FEWEST, LEVEL
from lab.stats.compared import Compared
from lab.stats.emergence import HOLD, ONSET
from lab.stats.paired import ALPHA, EXACT_UP_TO

MARK = "lab compare"
"""Text at the beginning of every file."""
_WIDTH = 100
"""Characters of a line of plain text."""
_INTERVAL = f"[{100 * LEVEL:.0f} %]"
_SAME = ("runs", "pairs", "least")
"""Columns that a caption states where all rows have one value, since a page is narrow."""


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonTable:
    """Conditions of a study, compared with one of them; a notebook shows it as a table.

    Attributes:
        title: The metric in words, and where it is compared.
        metric: Its name.
        at: `end`, `best`, `onset`, `completion` or a threshold.
        compared: The numbers.
    """

    title: str
    metric: str
    at: str | float
    compared: Compared

    @property
    def frame(self) -> pd.DataFrame:
        """The numbers, one row for each condition; the columns are those of `lab.stats.compared`."""
        return self.compared.table

    @property
    def notes(self) -> tuple[str, ...]:
        """Runs that were left out, and what else changes with the condition."""
        return self.compared.notes

    def shown(self) -> pd.DataFrame:
        """Return the table for readers: numbers to three digits, intervals beside them, a dash where there is nothing."""
        table = self.frame
        shown = table[["condition", "runs"]] if not any(table["within"]) else table[["within", "condition", "runs"]]
        shown = shown.assign(**(self._ends() if "mean" in table else self._times()))
        return shown.astype(str)

    def _ends(self) -> dict[str, list[str]]:
        table = self.frame
        places = max(decimals(table["mean"], 3), decimals(table["difference"], 2))
        return {
            f"mean {_INTERVAL}": _with_interval(table[["mean", "mean_low", "mean_high"]], places),
            **(self._solved() if "solved" in table else {}),
            f"difference {_INTERVAL}": _with_interval(table[["difference", "low", "high"]], places, sign="+"),
            "pairs": _counts(table["pairs"]),
            **_tests(table, "p_value", "p"),
        }

    @property
    def _lower(self) -> bool:
        return Metric.parse(self.metric).lower_is_better

    def _solved(self) -> dict[str, list[str]]:
        table = self.frame
        columns = {f"solved {_INTERVAL}": _shares(table[["solved", "solved_of", "solved_low", "solved_high"]])}
        return columns | ({"onset": _tokens(table["onset"])} if self._has_onset else {})

    @property
    def _has_onset(self) -> bool:
        return Metric.parse(self.metric).unit == "fraction"

    def _times(self) -> dict[str, list[str]]:
        table = self.frame
        seen = table["neither"] < table["pairs"]  # where neither run of any pair emerged there is no size
        percent = 100 * table[["later", "low", "high"]].where(seen.fillna(False).astype(bool))
        return {
            f"emerged {_INTERVAL}": _shares(table[["emerged", "runs", "share_low", "share_high"]]),
            "median": _tokens(table["median"]),
            f"% later {_INTERVAL}": _with_interval(percent, decimals(percent["later"], 2), sign="+"),
            "pairs": _counts(table["pairs"]),
            **_tests(table, "p_log_rank", "p_log_rank"),
        }

    def reading(self) -> list[str]:
        """Return how the columns are to be read, in sentences."""
        count, baseline = int(self.frame["found"].notna().sum()), self.compared.baseline
        family = f"of {count} comparisons" if count > 1 else "of one comparison"
        rule = (
            f"Holm: p corrected for this family {family}; least: the least value that this can have; "
            f"found: it is at most {ALPHA:.2f}."
        )
        few = f" (none below {FEWEST} seeds)" if self.frame[["runs", "pairs"]].min().min() < FEWEST else ""
        brackets, bootstrap = f"In brackets: {100 * LEVEL:.0f} % intervals", "by expanded percentile bootstrap over seeds"
        if "mean" in self.frame:
            exact = (self.frame["pairs"].dropna() <= math.log2(EXACT_UP_TO)).all()
            better = "" if Metric.parse(self.metric).describes else f"; {'lower' if self._lower else 'higher'} is better"
            test = "exact" if exact else f"over {EXACT_UP_TO} random flips where it cannot be exact"
            shares = f": exact ones of the share that solved it, else {bootstrap}{few}."
            return [
                *(self._read_solved() if "solved" in self.frame else ()),
                f"Difference: from {baseline}, mean over pairs of seeds{better}.",
                brackets + (shares if "solved" in self.frame else f"{few}, {bootstrap}."),
                f"p: two-sided sign-flip permutation test of the pairs, {test}. {rule}",
            ]
        return [
            f"Emerged: runs that were at or above it at {HOLD} evaluations in a row.",
            "Median: tokens by which half of the runs had emerged, by Kaplan and Meier.",
            f"Later: restricted mean time over pairs of seeds, against {baseline}; below 0 is earlier.",
            f"{brackets}: exact ones of the share that emerged, else {bootstrap}{few}.",
            f"p: two-sided log-rank permutation test over runs, unpaired. {rule}",
        ]

    def _read_solved(self) -> list[str]:
        threshold, side = self.frame["solved_threshold"].iloc[0], "below" if self._lower else "above"
        lines = [f"Solved: runs that are at or {side} {threshold:g}; a run that diverged is not."]
        half = f"half of the runs had reached {ONSET:g} at {HOLD} evaluations in a row"
        onset = f"Onset: tokens by which {half}, by Kaplan and Meier."
        return [*lines, onset] if self._has_onset else lines

    def text(self) -> str:
        """Return the table as plain text with its notes."""
        below = [part for line in (*self.reading(), *map(_as_note, self.notes)) for part in textwrap.wrap(line, _WIDTH)]
        return "\n".join([f"{MARK}: {self.title}", "", plain_table(self.shown()), "", *below]) + "\n"

    def markdown(self) -> str:
        """Return the table as Markdown with its notes."""
        below = "\n".join([*self.reading(), *map(_as_note, self.notes)])
        return f"<!-- {MARK} -->\n**{self.title}**\n\n{markdown_table(self.shown())}\n\n{below}\n"

    def latex(self) -> str:
        """Return a LaTeX table with its notes in the caption; the package booktabs is used where it is loaded."""
        shown, same = self.shown(), []
        for name in _SAME:
            values = set(shown[name]) - {NOTHING}
            if len(values) == 1:
                same.append(f"{name} {values.pop()}")
                shown = shown.drop(columns=name)
        everywhere = [f"In every row: {', '.join(same)}."] if same else []
        title = f"{self.title[0].upper()}{self.title[1:]}."
        caption = " ".join([title, *everywhere, *self.reading(), *map(_as_note, self.notes)])
        return f"% {MARK}\n" + latex_table(shown, caption, "tab:comparison")

    def csv(self) -> str:
        """Return all numbers in full precision as CSV."""
        names = pd.DataFrame({"metric": self.metric, "at": self.at}, index=self.frame.index)
        return str(names.join(self.frame).to_csv(index=False))

    def json(self) -> str:
        """Return all numbers in full precision as JSON, with the notes."""
        described = {
            "written_by": MARK,
            "title": self.title,
            "metric": self.metric,
            "at": self.at,
            "by": list(self.compared.by),
            "baseline": self.compared.baseline,
            "level": LEVEL,
            "alpha": ALPHA,
            "rows": [{name: _plain(value) for name, value in row.items()} for row in self.frame.to_dict("records")],
            "reading": self.reading(),
            "notes": list(self.notes),
        }
        return json.dumps(described, indent=1, ensure_ascii=False) + "\n"

    def write(self, path: Path | str) -> Path:
        """Write the table in the format of the file's suffix, a key of `FORMATS`.

        Raises:
            LabError: For another suffix, or if the file cannot be written.
        """
        path = Path(path)
        check_out(path, force=True)
        write_atomic(path, FORMATS[path.suffix](self))
        return path

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        below = "<br>".join(html.escape(line) for line in (*self.reading(), *map(_as_note, self.notes)))
        table = self.shown().to_html(index=False, border=0)
        return f"<b>{html.escape(self.title)}</b>{table}<small>{below}</small>"


FORMATS: Mapping[str, Callable[[ComparisonTable], str]] = MappingProxyType(
    {
        ".txt": ComparisonTable.text,
        ".md": ComparisonTable.markdown,
        ".tex": ComparisonTable.latex,
        ".csv": ComparisonTable.csv,
        ".json": ComparisonTable.json,
    }
)
"""Formats of a comparison by the suffix of its file."""
_BEGINS = {
    ".txt": f"{MARK}: ",
    ".md": f"<!-- {MARK} -->",
    ".tex": f"% {MARK}\n",
    ".csv": "metric,at,",
    ".json": f'{{\n "written_by": "{MARK}"',
}


def check_out(path: Path, *, force: bool = False) -> None:
    """Reject the file of a comparison before any work is done, as `lab.runs.outputs.check_file` does."""
    check_file(path, tuple(FORMATS), begins=_BEGINS.get(path.suffix, ""), force=force)


def _with_interval(columns: pd.DataFrame, places: int, sign: str = "") -> list[str]:
    """Return values with the ends of their intervals, a dash where there is no value."""

    def shown(value: float, sign: str = "") -> str:
        return f"{round(value, places) + 0.0:{sign}.{places}f}"  # no -0

    return [
        NOTHING if value != value else shown(value, sign) + (f" [{shown(low)}, {shown(high)}]" if low == low else "")
        for value, low, high in columns.itertuples(index=False)
    ]


def _tests(table: pd.DataFrame, p_value: str, name: str) -> dict[str, list[str]]:
    """Return the columns of a test: its p-value, corrected, the least that this can be, and whether a difference is found."""
    columns = {"p": p_value, "Holm": f"{name}_holm", "least": f"{name}_least"}
    found = [NOTHING if pd.isna(value) else "yes" if value else "no" for value in table["found"]]
    return {
        **{
            title: [NOTHING if value != value else f"{value:.2g}" for value in table[column]]
            for title, column in columns.items()
        },
        "found": found,
    }


def _shares(columns: pd.DataFrame) -> list[str]:
    """Return numbers of runs among runs with the interval of their share, a dash where they are not known."""
    return [
        NOTHING if pd.isna(count) else f"{count} of {runs} [{low:.2f}, {high:.2f}]"
        for count, runs, low, high in columns.itertuples(index=False)
    ]


def _tokens(column: pd.Series) -> list[str]:
    return [f"{value:.0f}" if value == value else NOTHING for value in column]


def _counts(column: pd.Series) -> list[str]:
    return [NOTHING if pd.isna(value) else str(value) for value in column]


def _as_note(line: str) -> str:
    return f"Note: {line}."


def _plain(value: Any) -> object:
    """Return a value as JSON has it: a missing one as null."""
    return None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value
