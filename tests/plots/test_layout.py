"""For any number of conditions, lines look different, legends cover nothing, and numbers fit into their cells."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lab import plots
from lab.errors import LabError
from lab.plots.axes import count, figure_of, log_axis, new_axes
from lab.plots.style import LOOKS, looks

METRIC = "accuracy/copy/1"
GRIDS: dict[int, dict[str, list[object]]] = {
    1: {"n_future": [2]},
    2: {"n_future": [1, 2]},
    4: {"n_future": [1, 2], "optimiser.peak_lr": [1e-3, 3e-3]},
    7: {"n_future": [1, 2, 3, 4, 5, 6, 7]},
    12: {"n_future": [1, 2], "model.width": [32, 64, 128], "optimiser.peak_lr": [1e-3, 3e-3]},
    24: {"n_future": [1, 2], "model.width": [32, 64, 128], "optimiser.peak_lr": [1e-3, 2e-3, 3e-3, 4e-3]},
}


def frame(conditions: int, seeds: int = 5, second: float = 0.3) -> pd.DataFrame:
    """Return a frame of curves that all end near 0.98."""
    rng = np.random.default_rng(0)
    rows = []
    names = list(GRIDS[conditions])
    for combination in itertools.product(*GRIDS[conditions].values()):
        for seed, step in itertools.product(range(seeds), range(0, 101, 20)):
            described = dict(zip(names, combination, strict=True)) | {"run": f"{combination}-{seed}", "seed": seed}
            value = min(1, step / 80) * (0.98 + 0.005 * rng.random())
            measured = {"step": step, "tokens": 2048 * step, "seconds": second * step, "metric": METRIC, "value": value}
            rows.append(described | {"parameters": 12 * 4 * int(described.get("model.width", 64)) ** 2} | measured)
    return pd.DataFrame(rows)


def draw_figure(name: str, conditions: int, **options: object) -> tuple[Axes, FigureCanvasAgg]:
    with plots.style():
        figure, _ = plots.find_figure(name)(frame(conditions), METRIC, **options)
        axes = figure.axes[0]
        canvas = FigureCanvasAgg(figure_of(axes))
        canvas.draw()
    return figure.axes[0], canvas


@pytest.mark.parametrize("conditions", [1, 2, 4, 7, 12])
@pytest.mark.parametrize("name", ["emergence", "size", "survival", "pareto"])
def test_legends_cover_nothing(name: str, conditions: int) -> None:
    axes, canvas = draw_figure(name, conditions)
    figure = figure_of(axes)
    renderer = canvas.get_renderer()
    legends = [legend for panel in figure.axes if (legend := panel.get_legend())] + list(figure.legends)
    assert len(legends) == 1
    box = legends[0].get_window_extent(renderer)
    others = [panel.get_window_extent(renderer) for panel in figure.axes if panel.axison]
    others += [panel.xaxis.get_tightbbox(renderer) for panel in figure.axes if panel.axison]
    assert not any(box.overlaps(other) for other in others)
    assert box.y0 >= -1, "the legend is on the page"
    labels = [text.get_text() for text in legends[0].get_texts()]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("conditions", [1, 2, 4, 7, 12, 24])
def test_no_two_lines_of_a_panel_look_alike(conditions: int) -> None:
    axes, _ = draw_figure("emergence", conditions)
    for panel in figure_of(axes).axes:
        named = [line for line in panel.get_lines() if not str(line.get_label()).startswith("_")]
        styles = {(line.get_color(), str(line.get_linestyle()), str(line.get_marker())) for line in named}
        assert len(styles) == len(named) <= 12
    assert len(figure_of(axes).axes) == {1: 1, 2: 1, 4: 1, 7: 1, 12: 2, 24: 4}[conditions]


def test_more_lines_than_looks_are_rejected() -> None:
    assert (
        len({(look.colour, look.line) for look in LOOKS}) == len({look.marker for look in LOOKS}) == len(looks(range(12))) == 12
    )
    with pytest.raises(LabError, match="13 lines are too many for one panel, at most 12"):
        looks(range(13))
    many = pd.concat(
        [frame(1).assign(run=lambda rows, n=n: rows["run"] + str(n), n_future=n) for n in range(1, 14)], ignore_index=True
    )
    with pytest.raises(LabError, match="13 conditions are too many for one figure"):
        plots.emergence(many, METRIC)


@pytest.mark.parametrize("conditions", [1, 2, 4, 7, 12])
def test_numbers_of_a_grid_fit_into_their_cells(conditions: int) -> None:
    axes, canvas = draw_figure("grid", conditions)
    renderer = canvas.get_renderer()
    cell = axes.transData.transform([(0, 0), (1, 1)])
    width, height = np.abs(cell[1] - cell[0])
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        assert box.width < width
        assert box.height < height


@pytest.mark.parametrize("conditions", [2, 4, 7, 12])
def test_ticks_of_parallel_coordinates_differ(conditions: int) -> None:
    axes, _ = draw_figure("parallel", conditions)
    by_axis: dict[float, list[str]] = {}
    for text in axes.texts:
        by_axis.setdefault(float(text.xy[0]), []).append(text.get_text())  # type: ignore[attr-defined]
    for texts in by_axis.values():
        shown = [text for text in texts if text]
        assert len(set(shown)) == len(shown) >= 2


@pytest.mark.parametrize(
    ("second", "label", "ticks"),
    [
        (0.002, "wall time (seconds)", ["0.05", "0.1", "0.2"]),
        (0.3, "wall time (seconds)", ["10", "20"]),
        (30, "wall time (minutes)", ["10", "20", "50"]),
        (300, "wall time (hours)", ["2", "5"]),
    ],
)
def test_wall_time_has_readable_units(second: float, label: str, ticks: list[str]) -> None:
    figure, _ = plots.emergence(frame(2, second=second), METRIC, x="seconds")
    axes = figure.axes[0]
    assert axes.get_xlabel() == label
    shown = [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks()]
    assert set(ticks) <= set(shown)
    assert all(float(text) for text in shown)


@pytest.mark.parametrize(("low", "high"), [(1e3, 1.001e3), (49_000, 790_000), (1, 1e9), (20, 700)])
def test_ticks_of_counts_are_few_and_differ(low: float, high: float) -> None:
    for many in (2, 40):
        axes = new_axes()
        log_axis(axes, "tokens", pd.Series(np.geomspace(low, high, many)))
        texts = [count(tick) for tick in axes.get_xticks()]
        assert 1 <= len(set(texts)) == len(texts) <= 10


def test_scored_tokens_and_sequences_can_be_the_axis() -> None:
    tidy = frame(2)
    tidy = tidy.assign(scored_tokens=tidy["tokens"] / 2, sequences=tidy["step"] * 32)
    for x, label in (("scored", "scored training tokens"), ("sequences", "training sequences")):
        figure, table = plots.emergence(tidy, METRIC, x=x)
        axes = figure.axes[0]
        assert axes.get_xlabel() == label
        assert table.columns[3] == {"scored": "scored_tokens"}.get(x, x)
    with pytest.raises(LabError, match="the runs do not say their scored tokens: they were written before"):
        plots.emergence(frame(2), METRIC, x="scored")
