"""Linear probes: their scores by layer and position, and over training."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.errors import LabError
from lab.plots.axes import AXES, figure_note, legend_columns, line_handles, log_axis
from lab.plots.cells import Scale, colour_bar, draw_cells
from lab.plots.page import columns_of, new_figure
from lab.plots.panels import LINES_AT_MOST, reject_more
from lab.plots.style import looks
from lab.plots.tables import attach_notes, describe_means, describe_seeds
from lab.stats.conditions import Conditions
from lab.stats.inspected import condition_means, last_means, mean_at_steps
from tasks.errors import nearest

_COORDINATES = ["site", "layer", "position", "role", "place", "target", "score", "control"]
_SCORES = {"accuracy": "accuracy", "R2": "$R^2$"}
SCORED = "any scored"
"""Role of the next token where a probe is fitted before all scored tokens."""
CONTROLS = {"untrained network": "--", "shuffled labels": ":", "majority": "-."}
"""Controls and the lines of their curves."""
_TARGETS_AT_MOST, _ROLES_AT_MOST = 6, 24
"""Targets that are drawn by default; positions up to which the role of the next token is named."""


def draw_probe(
    frame: pd.DataFrame, *, by: Sequence[str] | None = None, show: str = "", position: str = ""
) -> tuple[Figure, pd.DataFrame]:
    """Draw what linear probes read: by layer and position, or over training where a run has several steps.

    Args:
        frame: From `lab.inspect("probe", ...)`.
        by: Settings that distinguish conditions, separated by commas; by default all that vary.
        show: Targets to draw, separated by commas; by default the first six.
        position: Of the curves over training (a role if probes are pooled); by default where the conditions differ most.

    Returns:
        The figure, and the means that it shows with their 90 % intervals over seeds.

    Raises:
        LabError: For an unknown target or position, more than 6 conditions, and as `condition_means`.
    """
    known = sorted(dict.fromkeys(frame["target"]), key=lambda name: name.startswith("token t+"))  # latents first
    targets = [name.strip() for name in show.split(",") if name.strip()] or known[:_TARGETS_AT_MOST]
    for name in targets:
        if name not in known:
            raise LabError(f"show has no target {name!r}; {nearest(name, known)}")
    shown = frame[frame["target"].isin(targets)]
    shown = shown.assign(place=_places(shown))
    several = frame.groupby("run")["step"].nunique().max() > 1
    return _draw_curves(shown, targets, by, position) if several else _draw_maps(shown, targets, by)


def _places(frame: pd.DataFrame) -> pd.Series:
    """Return a label for every position: its number, and the role of the next token where all sequences have the same."""
    numbers, roles = frame["position"].astype(str), frame["role"].astype(str)
    if frame["position"].nunique() > _ROLES_AT_MOST:
        return numbers
    both = numbers + roles.map(lambda role: f"\N{RIGHTWARDS ARROW}{role}" if role else "")
    return both.where(numbers != "all", roles.where(roles != "", SCORED))


def _draw_maps(frame: pd.DataFrame, targets: Sequence[str], by: Sequence[str] | None) -> tuple[Figure, pd.DataFrame]:
    """Draw a heat map of layers and positions for each target (from above) and condition (from left)."""
    means = last_means(frame, _COORDINATES, by)
    table, names = means.table, list(means.conditions.table["condition"])
    reject_more(means.conditions, LINES_AT_MOST, f"{LINES_AT_MOST} conditions")
    places = list(dict.fromkeys(frame["place"]))
    sites = frame.groupby("target")["site"].nunique().max() + len(CONTROLS)
    wide, tall = min(8.0, 1.9 + 0.38 * len(places)), 0.55 + 0.21 * sites
    figure = new_figure(1.0 + wide * len(names), 1.3 + tall * len(targets))
    panels = figure.subplots(len(targets), len(names), squeeze=False)
    scale = Scale(" or ".join(f"{_SCORES[score]} of the probe" for score in dict.fromkeys(table["score"])), 0.0, 1.0)
    for target, line in zip(targets, panels, strict=True):
        for name, axes in zip(names, line, strict=True):
            rows = table[(table["condition"] == name) & (table["target"] == target)]
            matrix = _matrix(rows).reindex(columns=places)
            image = draw_cells(axes, matrix.to_numpy(float), list(matrix.index), places, scale)
            axes.axhline(len(matrix) - len(CONTROLS) - 0.5, color="white", linewidth=3)
            axes.set_title(f"{target}, {name}" if len(names) > 1 else target, fontsize="small")
            if len(places) > 1 and max(map(len, places)) > 3:
                axes.tick_params(axis="x", labelrotation=90)
    for axes in panels[:-1].flat:
        axes.set_xticklabels([])
    arrow = " \N{RIGHTWARDS ARROW} role of the next token" if "\N{RIGHTWARDS ARROW}" in places[0] else ""
    figure.supxlabel("role of the next token" if "all" in set(frame["position"]) else f"position{arrow}", fontsize="small")
    colour_bar(image, list(panels.flat), scale, aspect=5 * figure.get_figheight())
    note = f"linear probes, mean over {describe_seeds(table)}; below: controls, at their best layer"
    figure_note(figure, [note, *means.conditions.notes])
    return figure, attach_notes(table.drop(columns=["place", "step"]), means.conditions)


def _matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means as a matrix: the layers from the deepest down, then the controls, by place."""
    own = rows[rows["control"] == "none"].sort_values(["layer", "site"], ascending=False)
    layers = own.pivot_table(index="site", columns="place", values="mean", sort=False).rename(index=site_label)
    controls = rows.pivot_table(index="control", columns="place", values="mean", aggfunc="max", sort=False)
    return pd.concat([layers, controls.reindex([*CONTROLS])])


def site_label(site: str) -> str:
    """Return a state of the residual stream in words."""
    part, _, number = site.removesuffix(".residual").partition(".")
    return {"trunk": f"trunk layer {number}", "prediction": f"prediction head {number}"}.get(part, site)


def _draw_curves(
    frame: pd.DataFrame, targets: Sequence[str], by: Sequence[str] | None, position: str
) -> tuple[Figure, pd.DataFrame]:
    """Draw the best score of the embedding and the trunk's layers over training, in a panel for each target."""
    trunk = frame[~frame["site"].str.startswith("prediction.")]
    keys = [column for column in trunk.columns if column not in ("site", "layer", "value")]
    best = trunk.groupby(keys, sort=False, dropna=False, observed=True)["value"].max().reset_index()
    coordinates = [column for column in _COORDINATES if column not in ("site", "layer")]
    means = condition_means(best, coordinates, by)
    reject_more(means.conditions, LINES_AT_MOST, f"{LINES_AT_MOST} conditions")
    x = "tokens" if means.conditions.frame["tokens"].notna().all() else "steps"
    table = means.table.assign(x=mean_at_steps(means, AXES[x][0]))
    columns = columns_of(len(targets), 2 if len(targets) == 4 else 3, panel=2.7, least=1.6)
    lines = -(-len(targets) // columns)
    figure = new_figure(0.9 + 2.7 * columns, 1.2 + 2.1 * lines)
    panels = figure.subplots(lines, columns, sharex=True, squeeze=False)
    drawn: list[pd.DataFrame] = []
    for target, axes in zip(targets, panels.flat, strict=False):
        rows = table[table["target"] == target]
        rows = rows[rows["place"] == _chosen_place(rows, position)]
        _draw_lines(axes, rows, means.conditions)
        axes.set_title(f"{target}, at {rows['place'].iloc[0]}", fontsize="small")
        axes.set_ylabel(f"best {_SCORES[rows['score'].iloc[0]]}, trunk")
        log_axis(axes, AXES[x][1] if len(drawn) + columns >= len(targets) else "", rows.loc[rows["x"] > 0, "x"])
        axes.tick_params(labelbottom=True)
        drawn.append(rows)
    for axes in panels.flat[len(targets) :]:
        axes.remove()
    handles = line_handles(panels.flat[: len(targets)])
    columns = legend_columns(list(handles), figure.get_figwidth())
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns, handlelength=3, frameon=False)
    chosen = "" if position else "; the position is the one where conditions, or network and control, differ most"
    note = f"linear probes, best layer up to the trunk's last, {describe_means(table, 'band')}{chosen}"
    figure_note(figure, [note, *means.conditions.notes])
    return figure, attach_notes(pd.concat(drawn, ignore_index=True).drop(columns=["place", "x"]), means.conditions)


def _chosen_place(rows: pd.DataFrame, position: str) -> str:
    """Return the place whose curves are drawn."""
    if position:
        known = dict(
            zip(rows["position"].astype(str).where(rows["position"] != "all", rows["place"]), rows["place"], strict=True)
        )
        if position not in known:
            raise LabError(f"position must be one of {', '.join(known)} for {rows['target'].iloc[0]}, not {position!r}")
        return str(known[position])
    own = rows[rows["control"] == "none"]
    if own["condition"].nunique() == 1:
        own = rows[rows["control"].isin(["none", "untrained network"])]
    spread = own.groupby(["place", "step"], sort=False)["mean"].agg(lambda means: means.max() - means.min())
    return str(spread.groupby("place", sort=False).max().idxmax())


def _draw_lines(axes: Axes, rows: pd.DataFrame, found: Conditions) -> None:
    rows = rows[rows["x"] > 0]
    for name, look in looks(found.table["condition"]).items():
        line = rows[(rows["condition"] == name) & (rows["control"] == "none")].sort_values("x")
        axes.plot(line["x"], line["mean"], label=name, **look.options, markersize=4)
        axes.fill_between(line["x"], line["low"], line["high"], color=look.colour, alpha=0.18, linewidth=0)
    for control, style in CONTROLS.items():
        values = rows[rows["control"] == control].groupby("x")["mean"].mean()
        axes.plot(values.index, values, label=control, color="#777777", linestyle=style, linewidth=1)
    axes.set_ylim(min(0.0, float(rows["mean"].clip(lower=-0.5).min())), 1.02)
