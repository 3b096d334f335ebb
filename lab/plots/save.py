"""Figures as files, each with the numbers that it shows beside it."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.runs.files import check_file, readable_errors, write_atomic

SUFFIXES = (".png", ".pdf", ".svg")


def check_path(path: Path) -> None:
    """Refuse a figure's path before any work is done.

    Raises:
        LabError: For another kind of file than `SUFFIXES`, or a folder that is missing or cannot be written.
    """
    check_file(path, SUFFIXES)


def save(drawn: Axes | Figure, table: pd.DataFrame, path: Path | str) -> list[Path]:
    """Write a figure and, beside it, its numbers as CSV.

    Args:
        drawn: The figure, or axes of it.
        table: Its numbers.
        path: Of the figure.

    Returns:
        Both paths.

    Raises:
        LabError: If the path is no figure's, or the system refuses.
    """
    path = Path(path)
    check_path(path)
    figure = drawn if isinstance(drawn, Figure) else figure_of(drawn)
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    with readable_errors(path):
        try:
            partial.write_bytes(image_bytes(figure, path.suffix[1:]))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    beside = path.with_suffix(".csv")
    write_atomic(beside, table.to_csv(index=False))
    return [path, beside]


def figure_of(axes: Axes) -> Figure:
    """The figure that axes are on.

    Raises:
        LabError: If they were taken off it.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise LabError("these axes are on no figure")
    return figure


def image_bytes(figure: Figure, kind: str = "png") -> bytes:
    """A figure as the bytes of a file of that kind; no date in it, so that the same numbers give the same file."""
    buffer = io.BytesIO()
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def embedded(figure: Figure, alternative: str) -> str:
    """A figure as an HTML image that needs no other file.

    Args:
        figure: The figure.
        alternative: What it shows, for who cannot see it.
    """
    data = b64encode(image_bytes(figure)).decode()
    return f'<img alt="{alternative}" src="data:image/png;base64,{data}">'
