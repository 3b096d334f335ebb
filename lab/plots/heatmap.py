"""Head by layer: which attention head matches prefixes, in the trunk and in the prediction heads."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lab.errors import LabError
from lab.plots.curves import new_axes
from lab.plots.style import LUMINANCE

_PLACE = re.compile(r"^(?P<score>prefix_matching|copying)/(?P<part>trunk|prediction)\.(?P<layer>\d+)/(?P<head>\d+)$")


def heatmap(frame: pd.DataFrame, score: str = "prefix_matching", axes: Axes | None = None) -> tuple[Axes, pd.DataFrame]:
    """Scores of all attention heads at the last evaluation, mean over the runs.

    Args:
        frame: A tidy frame of runs of one shape: same layers, attention heads and n.
        score: `prefix_matching` or `copying`.
        axes: Where to draw; by default a new figure's.

    Returns:
        The axes, and the matrix drawn: rows are layers of the trunk and prediction heads, columns attention heads.

    Raises:
        LabError: If the runs have no such scores, or differ in n.
    """
    if frame.empty or frame["n_future"].nunique() != 1:
        raise LabError("a heat map shows runs of one n_future: name runs that agree in it")
    last = frame[frame["step"] == frame.groupby("run")["step"].transform("max")]
    places = last["metric"].str.extract(_PLACE)
    rows = last.join(places)[places["score"] == score]
    if rows.empty:
        raise LabError(f"the runs have no {score} scores (evaluation.induction_scores was false)")
    rows = rows.assign(layer=rows["layer"].astype(int), head=rows["head"].astype(int), order=rows["part"] == "prediction")
    matrix = rows.pivot_table(index=["order", "layer"], columns="head", values="value")
    names = [f"prediction head {layer}" if order else f"trunk layer {layer}" for order, layer in matrix.index]
    matrix.index = pd.Index(names, name="layer")
    axes = axes or new_axes(1.6 + 0.55 * matrix.shape[1], 0.9 + 0.42 * len(matrix))
    _draw(axes, matrix, score, rows["run"].nunique())
    return axes, matrix.reset_index()


def _draw(axes: Axes, matrix: pd.DataFrame, score: str, runs: int) -> None:
    low = 0.0 if score == "prefix_matching" else -1.0
    image = axes.imshow(matrix.to_numpy(float), cmap="cividis" if low == 0 else "RdGy_r", vmin=low, vmax=1.0, aspect="auto")
    values = matrix.to_numpy(float)
    colours = image.to_rgba(values)
    for (row, column), value in np.ndenumerate(values):
        dark = colours[row, column, :3] @ LUMINANCE < 0.5
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black", fontsize=7.5)
    axes.set_xticks(range(matrix.shape[1]), [str(head) for head in matrix.columns])
    axes.set_yticks(range(len(matrix)), list(matrix.index))
    axes.grid(visible=False)
    axes.set_xlabel("attention head")
    what = score.replace("_", " ")
    axes.set_title(f"{what} score at the end" + (f", mean of {runs} runs" if runs > 1 else ""), loc="left", fontsize=8)
