"""Options of every command that draws a figure: size, style and what is written on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.cli.arguments import Parser
    from lab.plots import Page


def add_page_options(parser: Parser, *, lines: bool = False) -> None:
    """Add the options of a figure's page.

    Args:
        parser: Of the command.
        lines: Whether the figure draws reference values.
    """
    page = parser.add_argument_group("page")
    page.add_argument("--width", metavar="LENGTH", help="column or page (one or two columns of a paper), or 85mm, 8.5cm, 3.3in")
    page.add_argument("--height", metavar="LENGTH", help="as 60mm (suits the width)")
    page.add_argument("--style", metavar="STYLE", help="notebook, paper (text of 7 to 8.5 pt) or talk (large) (notebook)")
    page.add_argument("--title", help="above the figure")
    page.add_argument("--ylim", metavar="LOW,HIGH", help="limits of the first panel's vertical axis (--ylim=-1,1)")
    page.add_argument("--label", action="append", metavar="CONDITION=TEXT", help="as 'n = 1=next token'; may be repeated")
    if lines:
        page.add_argument("--line", action="append", metavar="NAME=VALUE", help="a reference value; may be repeated")


def page_of(args: Any) -> Page:
    """Return the page that the options describe.

    Raises:
        LabError: If an option has no such value.
    """
    from lab.plots import Page

    given = {name: getattr(args, name) for name in ("width", "height", "style", "title") if getattr(args, name) is not None}
    if args.ylim is not None:
        low, *rest = (_number("ylim", word) for word in args.ylim.split(","))
        if len(rest) != 1:
            raise LabError(f"--ylim must be two numbers with a comma between, as 0,1, not {args.ylim!r}")
        given["ylim"] = (low, rest[0])
    return Page(**given, labels=_pairs("label", args.label or (), "CONDITION=TEXT"))


def reference_lines_of(args: Any) -> dict[str, float]:
    """Return the reference values that the options add, by name.

    Raises:
        LabError: If one is no number.
    """
    pairs = _pairs("line", getattr(args, "line", None) or (), "NAME=VALUE")
    return {name: _number("line", value) for name, value in pairs.items()}


def _pairs(option: str, words: Sequence[str], form: str) -> dict[str, str]:
    """Return the two sides of each word; the condition's own `=` has blanks around it, as in `n = 1=next token`."""
    found: dict[str, str] = {}
    for word in words:
        match = re.fullmatch(r"\s*(.+?)(?<! )=(?! )(.+)", word, re.DOTALL)
        if match is None or not match[2].strip():
            raise LabError(f"--{option} must be {form} without blanks around the last =, not {word!r}")
        if match[1] in found:
            raise LabError(f"--{option}: {match[1]!r} is given twice")
        found[match[1]] = match[2]
    return found


def _number(option: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise LabError(f"--{option} must be a number, not {word!r}") from None
