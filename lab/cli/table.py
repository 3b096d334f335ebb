"""Tables in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd


def print_frame(console: Console, frame: pd.DataFrame) -> None:
    """Print a frame as a table, its texts literally."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns:
        table.add_column(Text(str(name)), justify="right", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(value)) for value in row))
    console.print(table)
