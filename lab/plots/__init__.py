"""Frames in, matplotlib figures out. Never imports torch.

A new figure is one function from a frame to (axes, table) and one line in `FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes

from lab.plots.curves import emergence, induction, new_axes
from lab.plots.heatmap import heatmap
from lab.plots.save import save
from lab.plots.style import style

FIGURES: dict[str, Callable[..., tuple[Axes, pd.DataFrame]]] = {
    "emergence": emergence,
    "induction": induction,
    "heatmap": heatmap,
}
"""What `lab plot NAME` can draw."""

__all__ = ["FIGURES", "emergence", "heatmap", "induction", "new_axes", "save", "style"]
