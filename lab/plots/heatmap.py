"""Scores of attention heads by layer, in the trunk and in the prediction heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_note, figure_of, note
from lab.plots.cells import DIVERGING, Scale, colour_bar, draw_cells
from lab.plots.page import columns_of, new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.tables import attach_notes, chance_lines, format_range, heads_of
from lab.stats.conditions import conditions
from lab.stats.inspected import at_last_step


def heatmap(
    frame: pd.DataFrame, score: str = "prefix_matching", *, by: Sequence[str] | None = None, axes: Axes | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw a score of every attention head at the end of training, by layer.

    Args:
        frame: A tidy frame.
        score: `prefix_matching` or `copying`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        axes: Where to draw, of one condition; by default a new figure's.

    Returns:
        The figure, and the matrix drawn: by condition, rows are layers of the trunk and prediction heads, columns
        attention heads; `seeds` is the number of seeds.

    Raises:
        LabError: If the runs have no such scores, or there are more than 6 conditions.
    """
    if frame.empty:
        raise LabError("the runs have no metrics yet")
    heads = [str(each) for each in heads_of(frame, Metric(score))]
    rows = frame[frame["metric"].isin(heads) & frame["value"].notna()]
    if rows.empty:
        raise LabError(f"the runs have no {score} scores (evaluation.measures.induction was 0)")
    found = conditions(rows, by, keep="finished")
    names = list(found.table["condition"])
    reject_more(found, LINES_AT_MOST if axes is None else 1, f"{LINES_AT_MOST} panels, or 1 in given axes")
    last = at_last_step(found.frame)
    matrices = {name: _matrix(last[last["condition"] == name]) for name in names}
    seeds = last.groupby("condition", observed=True)["run"].nunique()
    panels = _new_panels(list(matrices.values())) if axes is None else [axes]
    scale = Scale(_words(score), 0.0, 1.0) if score == "prefix_matching" else Scale(_words(score), -1.0, 1.0, DIVERGING)
    for panel, name in zip(panels, names, strict=False):
        image = _draw(panel, matrices[name], scale)
        panel.set_title(name if len(names) > 1 else "", fontsize="small")
    if axes is None:
        spec = panels[0].get_subplotspec()
        colour_bar(image, panels, scale, aspect=20 * (1 if spec is None else spec.get_gridspec().nrows))
    what = f"{_words(score)} at the end, mean of {format_range(seeds)} seeds"
    even = [f"chance: {value:.2g}" for value in chance_lines(frame).values()] if score == "prefix_matching" else []
    lines = [what if seeds.max() > 1 else what.partition(",")[0], *even, *found.notes]
    if axes is None:
        figure_note(figure_of(panels[0]), lines)
    else:
        note(axes, *lines)
    tables = [matrices[name].reset_index().assign(condition=name, seeds=seeds[name]) for name in names]
    return figure_of(panels[0]), attach_notes(pd.concat(tables, ignore_index=True), found)


def _new_panels(matrices: Sequence[pd.DataFrame]) -> list[Axes]:
    """Create a panel on a new figure for each matrix, all large enough for the largest."""
    wide, tall = (max(matrix.shape[axis] for matrix in matrices) for axis in (1, 0))
    most = 2 if len(matrices) in (2, 4) else 3
    columns = columns_of(len(matrices), most, panel=1.4 + 0.48 * wide, least=1.3 + 0.3 * wide)
    high = -(-len(matrices) // columns)
    figure = new_figure(1.0 + (1.4 + 0.48 * wide) * columns, 0.9 + (0.6 + 0.36 * tall) * high)
    panels = list(figure.subplots(high, columns, squeeze=False).flat)
    for panel in panels[len(matrices) :]:
        panel.remove()
    return panels[: len(matrices)]


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over runs as a matrix of layers by attention heads."""
    found = [Metric.parse(name) for name in rows["metric"]]
    sites = {each.site: replace(each, attention_head=None).site_label for each in found}
    rows = rows.assign(site=[each.site for each in found], head=pd.Series([each.attention_head for each in found], rows.index))
    matrix = rows.pivot_table(index="site", columns="head", values="value")
    matrix = matrix.loc[sorted(sites, key=_depth)]
    matrix.index = pd.Index([sites[site] for site in matrix.index], name="layer")
    return matrix


def _depth(site: str) -> tuple[bool, int]:
    part, _, number = site.partition(".")
    return part == "prediction", int(number)


def _words(score: str) -> str:
    return Metric(score).label()


def _draw(axes: Axes, matrix: pd.DataFrame, scale: Scale) -> AxesImage:
    layers, heads = list(map(str, matrix.index)), [str(head) for head in matrix.columns]
    image = draw_cells(axes, matrix.to_numpy(float), layers, heads, scale)
    axes.set_xlabel("attention head")
    return image
