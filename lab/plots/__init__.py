"""Frames in, matplotlib figures out. Never imports torch.

A new figure is one function from a frame to (axes, table) and one line in `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes

from lab.plots.axes import new_axes
from lab.plots.curves import emergence, induction
from lab.plots.gradients import gradients
from lab.plots.grid import grid, size
from lab.plots.heatmap import heatmap
from lab.plots.importance import importance, parallel
from lab.plots.pareto import pareto
from lab.plots.save import save
from lab.plots.style import style
from lab.plots.survival import survival

FIGURES: dict[str, Callable[..., tuple[Axes, pd.DataFrame]]] = {
    "emergence": emergence,
    "induction": induction,
    "heatmap": heatmap,
    "grid": grid,
    "size": size,
    "survival": survival,
    "pareto": pareto,
    "importance": importance,
    "parallel": parallel,
    "gradients": gradients,
}
"""What `lab plot NAME` can draw."""

__all__ = [
    "FIGURES",
    "emergence",
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
    "style",
    "survival",
]
