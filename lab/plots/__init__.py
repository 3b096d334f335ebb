"""Frames in, matplotlib figures out. Never imports torch.

A new figure is one function from a frame, and options, to (figure, table of its numbers), and one line in `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pandas as pd
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.acceptance import acceptance
from lab.plots.axes import new_axes
from lab.plots.emergence import emergence
from lab.plots.finish import draw
from lab.plots.gradients import gradients
from lab.plots.grid import grid, size
from lab.plots.heatmap import heatmap
from lab.plots.importance import importance, parallel
from lab.plots.induction import induction
from lab.plots.page import Page, style
from lab.plots.pareto import pareto
from lab.plots.save import save
from lab.plots.speedup import speedup
from lab.plots.survival import survival
from lab.plots.times import times
from lab.registry import load_object
from tasks.errors import nearest

Draw = Callable[..., tuple[Figure, pd.DataFrame]]
FIGURES: dict[str, Draw] = {
    figure.__name__: figure
    for figure in (
        emergence,
        induction,
        heatmap,
        grid,
        size,
        survival,
        times,
        pareto,
        importance,
        parallel,
        gradients,
        acceptance,
        speedup,
    )
}
"""Every figure by its name. Its description is the first line of its docstring, its options are its keyword arguments."""

__all__ = [
    "FIGURES",
    "Draw",
    "Page",
    "acceptance",
    "draw",
    "emergence",
    "find_figure",
    "gradients",
    "grid",
    "heatmap",
    "importance",
    "induction",
    "new_axes",
    "parallel",
    "pareto",
    "save",
    "size",
    "speedup",
    "style",
    "survival",
    "times",
]


def find_figure(name: str) -> Draw:
    """Return the function that draws a figure.

    Args:
        name: One of `FIGURES`, or `module:function` of a user's own.

    Raises:
        LabError: If there is none, or it cannot be imported.
    """
    if name in FIGURES:
        return FIGURES[name]
    if ":" not in name:
        raise LabError(f"unknown figure {name!r}; {nearest(name, FIGURES)}, or module:function")
    found = load_object(name, "figure")
    if not callable(found):
        raise LabError(f"figure {name!r} is not a function")
    return cast(Draw, found)
