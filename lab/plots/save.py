"""Save figures as files, each with its numbers beside it."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lab.plots.page import current_page, style
from lab.runs.files import write_atomic
from lab.runs.outputs import PICTURES, check_file, mark_of


def check_path(path: Path, *, force: bool = False) -> None:
    """Reject a figure's path, or that of the table beside it, before any work is done.

    Raises:
        LabError: See `lab.runs.outputs.check_file`.
    """
    check_file(path, PICTURES, force=force)
    check_file(path.with_suffix(".csv"), (".csv",), force=force)


def save(figure: Figure, table: pd.DataFrame, path: Path | str) -> list[Path]:
    """Write a figure and, beside it, its numbers as CSV; earlier figures are replaced, files of runs and sweeps are not.

    Args:
        figure: The figure.
        table: Its numbers.
        path: File of the figure.

    Returns:
        Both paths.

    Raises:
        LabError: If the path is not a figure's, or cannot be written.
    """
    path = Path(path)
    check_path(path, force=True)
    numbers = table.to_csv(index=False)
    write_atomic(path, image_bytes(figure, path.suffix[1:], mark_of(numbers)))
    beside = path.with_suffix(".csv")
    write_atomic(beside, numbers)
    return [path, beside]


def image_bytes(figure: Figure, kind: str = "png", mark: str | None = None) -> bytes:
    """Return the bytes of a figure's file, without a date, so that the same numbers give the same file.

    Args:
        figure: The figure.
        kind: `png`, `pdf` or `svg`.
        mark: Description in the metadata of the file.
    """
    buffer = io.BytesIO()
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": None, "Description": mark},
        "pdf": {"CreationDate": None, "Keywords": mark},
        "svg": {"Date": None, "Description": mark},
    }
    with style(current_page()):
        figure.savefig(buffer, format=kind, metadata=metadata[kind])
    return buffer.getvalue()


def embedded(figure: Figure, alternative: str) -> str:
    """Return a figure as an HTML image that needs no other file.

    Args:
        figure: The figure.
        alternative: Text for readers who cannot see it.
    """
    data = b64encode(image_bytes(figure)).decode()
    return f'<img alt="{alternative}" src="data:image/png;base64,{data}">'
