"""The figure of Fig 8: accuracy against the number of operations, a panel for each size, number of pauses and matching."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.plots.axes import figure_note, line_handles, shared_legend
from lab.plots.page import new_figure
from lab.plots.style import LOOKS
from lab.reproduce.atlas.plan import CONDITION, EQUAL, condition
from lab.reproduce.fig8.plan import COUNTS, HEADLINE
from lab.stats.bootstrap import FEWEST, bootstrap_band

_GREY = "#777777"


def draw(ends: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the accuracy of each number of heads at each number of operations.

    Args:
        ends: The study's frame at the last evaluation point of each run.

    Returns:
        The figure, and the numbers drawn: `panel`, `n`, `m`, `mean`, `low`, `high`, `seeds`, `majority`.
    """
    panels = panels_of(ends)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(1.2 + 2.5 * columns, 0.9 + 2.4 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    tables = []
    for number, (axes, (title, own)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        table = band_table(own)
        _draw_panel(axes, table, own)
        axes.set_title(title, loc="left", fontsize="small")
        axes.label_outer()
        if number + columns >= len(panels):
            axes.set_xlabel("m, operations")
            axes.tick_params(axis="x", labelbottom=True)
        tables.append(table.assign(panel=title.replace("\n", ", ")))
    for axes in grid[:, 0]:
        axes.set_ylabel("fraction of correct answers")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    shared_legend(figure, line_handles(grid.flat[: len(panels)]))
    numbers = pd.concat(tables, ignore_index=True)
    few = numbers["seeds"].max() < FEWEST
    band = "mean over seeds; too few for a band" if few else f"mean and 90 % bootstrap band over {numbers['seeds'].max()} seeds"
    border = "Right of the line: more operations than in training."
    figure_note(figure, [f"Greedy decoding of the whole answer, {band}.", border])
    return figure, numbers


def panels_of(ends: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each panel by its title: sizes and numbers of pauses, the headline's matching first."""
    found = {}
    for (size, pause), part in ends.groupby(["size", "pause"], sort=True):
        for matched in (HEADLINE, "layers"):
            own = part[part[CONDITION].isin([condition(n, matched) for n in COUNTS])]
            if own[CONDITION].nunique() > 1:
                pauses = f"{pause} pause tokens" if pause != 0 else "no pause tokens"
                found[f"{size} parameters, {pauses}\n{EQUAL[matched]}"] = own
    return found


def band_table(own: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 90 % bootstrap interval over seeds for each number of heads and of operations."""
    tables = []
    for name, part in own.groupby(CONDITION, sort=True):
        curves = part.pivot(index="seed", columns="m", values="value")
        low, mean, high = bootstrap_band(curves.to_numpy(float))
        levels = part.groupby("m")["majority"].first().to_numpy()
        heads = int(str(name).split(",")[0].removeprefix("n = "))
        table: dict[str, Any] = {"n": heads, "m": curves.columns, "mean": mean, "low": low, "high": high, "seeds": len(curves)}
        tables.append(pd.DataFrame({**table, "majority": levels}))
    return pd.concat(tables, ignore_index=True)


def _draw_panel(axes: Axes, table: pd.DataFrame, own: pd.DataFrame) -> None:
    """Draw the lines of a panel, the level of the commonest answer, and the border of the domain."""
    for look, (n, line) in zip(LOOKS, table.groupby("n", sort=True), strict=False):
        axes.plot(line["m"], line["mean"], **look.options, markersize=3.5, linewidth=1.4, label=f"n = {n}")
        if line["low"].notna().all():
            axes.fill_between(line["m"], line["low"], line["high"], color=look.colour, alpha=0.18, linewidth=0)
    level = table.drop_duplicates("m")
    axes.plot(level["m"], level["majority"], color=_GREY, linestyle=":", linewidth=1.2, label="commonest answer")
    axes.axvline(own.loc[own["in_domain"], "m"].max() + 0.5, color=_GREY, linewidth=0.9)
    axes.set_xticks(sorted(table["m"].unique()))
    axes.set_ylim(0, 1.02)
