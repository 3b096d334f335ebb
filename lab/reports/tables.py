"""Tables of text as plain text, Markdown and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_INTERVAL = rf"\[{_NUMBER}, {_NUMBER}\]"
_NUMERIC = re.compile(rf"{_NUMBER}(?: {_INTERVAL})?")
NOTHING = "-"
"""A cell without a value."""
_LATEX = {
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    **{letter: f"{{{letter}}}" for letter in "[]"},  # one after the end of a row would be its option
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}
_MOST_DECIMALS = 6
_COLUMNS_AT_MOST = 7
"""Columns of numbers with intervals for which a page of LaTeX is wide enough in its usual font of tables."""


def plain_table(table: pd.DataFrame) -> str:
    """Return a table as aligned lines, numbers to the right and text to the left."""
    rows = _rows(table)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = list(zip(widths, _numeric(table), strict=True))
    lines = (
        "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, (width, right) in zip(row, columns, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    head, *body = [[cell.replace("|", r"\|") for cell in row] for row in _rows(table)]
    rows = [head, ["--:" if right else "---" for right in _numeric(table)], *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def latex_table(table: pd.DataFrame, caption: str, label: str) -> str:
    r"""Return a table as LaTeX: a floating `table`, with numbers and intervals as math.

    The rules are those of the package booktabs, or `\hline` without it.

    Args:
        table: The table.
        caption: Plain text.
        label: For `\ref`.
    """
    head, *body = [" & ".join(map(_latex_cell, row)) + r" \\" for row in _rows(table)]
    rules = "".join(rf"\providecommand{{\{name}}}{{\hline}}" for name in ("toprule", "midrule", "bottomrule"))
    columns = "".join("r" if right else "l" for right in _numeric(table))
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\footnotesize" if len(table.columns) <= _COLUMNS_AT_MOST else r"\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rules,
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{{label}}}",
        r"\vspace{4pt}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Return plain text as LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in text).replace("--", "-{}-").replace(r" \%", r"~\%")


def decimals(values: Iterable[float], digits: int = 3) -> int:
    """Return the number of decimals with which the largest of some values has some significant digits; 1 counts as 0.999."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 0 if largest == 0 else min(max(digits - math.ceil(math.log10(largest)), 0), _MOST_DECIMALS)


def _rows(table: pd.DataFrame) -> list[list[str]]:
    """Return the names of the columns, then the rows, as text."""
    return [list(map(str, table.columns)), *table.astype(str).to_numpy().tolist()]


def _numeric(table: pd.DataFrame) -> list[bool]:
    """Return whether each column holds numbers."""
    columns = zip(*_rows(table)[1:], strict=True)
    return [all(cell == NOTHING or _NUMERIC.fullmatch(cell) for cell in column) for column in columns]


def _latex_cell(cell: str) -> str:
    if cell == NOTHING:
        return "--"
    if _NUMERIC.fullmatch(cell):
        return _math(cell)
    parts = re.split(f"({_INTERVAL})", cell)
    return "".join(_math(part) if place % 2 else escape_latex(part) for place, part in enumerate(parts))


def _math(numbers: str) -> str:
    powers = re.sub(r"e([-+])?0*(\d+)", lambda found: rf" \times 10^{{{(found[1] or '').strip('+')}{found[2]}}}", numbers)
    spaced = powers.replace(" [", r"\;[")
    return f"${spaced}$"
