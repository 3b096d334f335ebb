"""A page is a title and sections, which render as HTML or as Markdown."""

from __future__ import annotations

import html
import math
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lab.plots.save import embedded

HTML_BEGINS = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="mtp-lab">'
MARKDOWN_BEGINS = "<!-- mtp-lab -->"
"""The first characters of our pages."""


class Link(NamedTuple):
    """A cell of a table that links to a file or an address."""

    text: str
    target: str


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page; what it does not have is left out.

    Attributes:
        title: Heading; "" continues the section before.
        text: Paragraphs of Markdown: `code`, [links](file), and `> ` before a paragraph that states a finding.
        table: A table below the text.
        figure: A figure, whose caption is the text; HTML pages contain it, Markdown has the caption alone.
        numbers: The numbers of the figure or table, which an HTML page offers as a file of CSV.
        share: How much of the work is done, between 0 and 1, drawn as a bar in an HTML page.
        folded: Whether an HTML page shows the title alone until the reader opens the section.
        small: Whether the text is a remark in small letters.
    """

    title: str = ""
    text: str = ""
    table: pd.DataFrame | None = None
    figure: Figure | None = None
    numbers: pd.DataFrame | None = None
    share: float | None = None
    folded: bool = False
    small: bool = False


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return a page as Markdown."""
    return f"# {title}\n\n" + "\n\n".join(map(section_markdown, sections)) + "\n"


def section_markdown(section: Section) -> str:
    """Return a section as Markdown."""
    blocks = [f"## {section.title}"] if section.title else []
    blocks += [section.text] if section.text else []
    blocks += [] if section.table is None else [markdown_table(section.table)]
    return "\n\n".join(blocks)


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table as Markdown, floats with three significant digits, a dash where there is no number."""
    rows = [list(map(str, table.columns)), *([_format_cell(value) for value in row] for row in table.itertuples(index=False))]
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * len(table.columns)) + " |", *lines[1:]])


def render_html(title: str, sections: Sequence[Section], refresh: int = 0) -> str:
    """Return a page as HTML that needs no other file.

    Args:
        title: Its heading.
        sections: Its sections, in order.
        refresh: Seconds after which a browser loads the page again; 0 for never.
    """
    template = Template(files("lab.reports").joinpath("page.html").read_text(encoding="utf-8"))
    reload = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return template.substitute(begin=HTML_BEGINS, reload=reload, title=html.escape(title), body=body_html(sections))


def body_html(sections: Sequence[Section]) -> str:
    """Return sections as HTML, without a page around them."""
    return "\n".join(map(_section_html, sections))


def _section_html(section: Section) -> str:
    title, blocks = _inline(section.title), []
    if section.share is not None:
        blocks.append(f'<progress value="{section.share:.4f}" aria-label="share of the work that is done"></progress>')
    link = "" if section.numbers is None else _download(section.numbers, section.title or "numbers")
    if section.figure is not None:
        image = embedded(section.figure, html.escape(re.sub(r" \(\[.*", "", section.text)))
        blocks.append(f"<figure>{image}<figcaption>{_inline(section.text)}{f' ({link})' if link else ''}</figcaption></figure>")
    else:
        for paragraph in filter(None, section.text.split("\n\n")):
            found = paragraph.startswith("> ")
            plain = f"<p><small>{_inline(paragraph)}</small></p>" if section.small else f"<p>{_inline(paragraph)}</p>"
            blocks.append(f'<p class="found">{_inline(paragraph[2:])}</p>' if found else plain)
    if section.table is not None:
        blocks.append(_table_html(section.table))
        blocks += [f"<p><small>{link}</small></p>"] if link and section.figure is None else []
    if section.folded:
        return "\n".join([f"<details><summary>{title}</summary>", *blocks, "</details>"])
    return "\n".join([f"<h2>{title}</h2>", *blocks] if title else blocks)


def _table_html(table: pd.DataFrame) -> str:
    """Return a table as HTML; one whose columns have no names lists facts and has no head."""
    named = any(map(str, table.columns))
    shown = table.map(_cell_html if named else _fact_html).rename(columns=lambda name: html.escape(str(name)))
    text = shown.to_html(index=False, border=0, header=named, escape=False, classes=None if named else "facts")
    return f'<div class="wide">{text}</div>'


def _cell_html(value: object) -> str:
    if isinstance(value, Link):
        return f'<a href="{html.escape(value.target)}">{html.escape(value.text)}</a>'
    return html.escape(_format_cell(value))


def _fact_html(value: object) -> str:
    return _inline(value) if isinstance(value, str) else _cell_html(value)


def _download(table: pd.DataFrame, name: str) -> str:
    """Return a link that saves a table as CSV and needs no other file."""
    file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".csv"
    data = b64encode(table.to_csv(index=False).encode(errors="surrogateescape")).decode()
    return f'<a download="{file}" href="data:text/csv;base64,{data}">numbers as CSV</a>'


def _inline(text: str) -> str:
    """Escape text, and turn code and links of Markdown into HTML."""
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', code)


def _format_cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Link):
        return f"[{value.text}]({value.target})"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return str(value)
