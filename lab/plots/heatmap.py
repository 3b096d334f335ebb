"""Scores of attention heads by layer, in the trunk and in the prediction heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.metrics import Metric
from lab.plots.axes import figure_note, figure_of, new_axes, note
from lab.plots.cells import DIVERGING, Scale, draw_image
from lab.plots.page import new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.tables import attach_notes, chance_lines, format_range, heads_of
from lab.stats.conditions import conditions


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
    last = found.frame[found.frame["step"] == found.frame.groupby("run")["step"].transform("max")]
    matrices = {name: _matrix(last[last["condition"] == name]) for name in names}
    seeds = last.groupby("condition", observed=True)["run"].nunique()
    wide = max(matrix.shape[1] for matrix in matrices.values())
    if axes is None and len(names) > 1:
        tall = max(map(len, matrices.values()))
        figure = new_figure((1.4 + 0.48 * wide) * len(names), 1.3 + 0.42 * tall)
        panels = list(figure.subplots(1, len(names), squeeze=False)[0])
    else:
        panels = [axes or new_axes(1.6 + 0.55 * wide, 1.1 + 0.42 * len(matrices[names[0]]))]
    for panel, name in zip(panels, names, strict=True):
        _draw(panel, matrices[name], score)
        panel.set_title(name, fontsize="small")
    what = f"{score.replace('_', ' ')} score at the end, mean of {format_range(seeds)} seeds"
    even = [f"chance: {value:.2g}" for value in chance_lines(frame).values()] if score == "prefix_matching" else []
    lines = [what if seeds.max() > 1 else what.partition(",")[0], *even, *found.notes]
    if len(panels) > 1:
        figure_note(figure, lines)
    else:
        panels[0].set_title("")
        note(panels[0], *lines)
    tables = [matrices[name].reset_index().assign(condition=name, seeds=seeds[name]) for name in names]
    return figure_of(panels[0]), attach_notes(pd.concat(tables, ignore_index=True), found)


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


def _draw(axes: Axes, matrix: pd.DataFrame, score: str) -> None:
    scale = Scale(score, 0.0, 1.0) if score == "prefix_matching" else Scale(score, -1.0, 1.0, DIVERGING)
    draw_image(axes, matrix.to_numpy(float), scale, "{:.2f}".format)
    axes.set_xticks(range(matrix.shape[1]), [str(head) for head in matrix.columns])
    axes.set_yticks(range(len(matrix)), list(matrix.index))
    axes.set_xlabel("attention head")
