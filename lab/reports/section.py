"""A page is a title and sections, which render as HTML or as Markdown."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lab.plots.save import embedded


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page; what it does not have is left out.

    Attributes:
        title: Heading; "" continues the section before.
        text: Paragraphs of Markdown: `code`, [links](file), and `> ` before a paragraph that states a finding.
        table: A table below the text.
        figure: A figure, whose caption is the text; HTML pages contain it, Markdown has the caption alone.
    """

    title: str = ""
    text: str = ""
    table: pd.DataFrame | None = None
    figure: Figure | None = None


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
    rows = [list(table.columns), ["---"] * len(table.columns)]
    rows += [[_format_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def render_html(title: str, sections: Sequence[Section]) -> str:
    """Return a page as HTML that needs no other file."""
    template = Template(files("lab.reports").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(title), body="\n".join(map(_section_html, sections)))


def _section_html(section: Section) -> str:
    blocks = [f"<h2>{_inline(section.title)}</h2>"] if section.title else []
    paragraphs = [paragraph for paragraph in section.text.split("\n\n") if paragraph]
    if section.figure is not None:
        image = embedded(section.figure, html.escape(re.sub(r" \(\[.*", "", section.text)))
        return "\n".join([*blocks, f"<figure>{image}<figcaption>{_inline(section.text)}</figcaption></figure>"])
    for paragraph in paragraphs:
        found = paragraph.startswith("> ")
        blocks.append(f'<p class="found">{_inline(paragraph[2:])}</p>' if found else f"<p>{_inline(paragraph)}</p>")
    if section.table is not None:
        shown = section.table.map(_format_cell)
        blocks.append(f'<div class="wide">{shown.to_html(index=False, border=0)}</div>')
    return "\n".join(blocks)


def _inline(text: str) -> str:
    """Escape text, and turn code and links of Markdown into HTML."""
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', code)


def _format_cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return str(value)
