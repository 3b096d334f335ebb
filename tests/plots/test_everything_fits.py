"""Every figure on one and two columns of a paper: text is legible and inside, legends cover nothing, looks differ."""

import inspect
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from lab import plots
from lab.inspection.instruments import INSTRUMENTS
from tests.helpers.figure_frames import METRIC, decoded_frame, instrument_frame, training_frame

CONDITIONS: dict[int, list[dict[str, Any]]] = {
    2: [{"n_future": n} for n in (2, 3)],
    8: [{"n_future": n, "optimiser.peak_lr": rate} for n in (2, 3, 4, 5) for rate in (1e-3, 2e-3)],
    12: [
        {"n_future": n, "model.width": width, "optimiser.peak_lr": rate}
        for n in (2, 3, 4)
        for width in (32, 64)
        for rate in (1e-3, 2e-3)
    ],
}
MANY = ("emergence", "induction", "grid", "size", "survival", "pareto", "parallel", "importance")
"""Figures that are drawn with 8 and more conditions; with fewer they have more room."""
CASES = [
    *((name, count, "column") for name in MANY for count in (8, 12) if (name, count) != ("induction", 12)),
    *((name, 2, "column") for name in plots.FIGURES if name not in (*MANY, "times")),
    *((name, 2, "page") for name in (*plots.FIGURES, *INSTRUMENTS) if name != "importance"),
]


def draw_figure(name: str, conditions: int, width: str) -> Figure:
    if name in INSTRUMENTS:
        draw, frame = INSTRUMENTS[name].load_draw(), instrument_frame(name, CONDITIONS[conditions])
    else:
        draw = plots.FIGURES[name]
        decodes = name in ("acceptance", "speedup")
        frame = decoded_frame(CONDITIONS[conditions]) if decodes else training_frame(CONDITIONS[conditions], seeds=5)
    options: dict[str, Any] = {"metric": METRIC} if "metric" in inspect.signature(draw).parameters else {}
    return plots.draw(draw, frame, **options, page=plots.Page(width=width, style="paper", title="A title"))[0]


@pytest.mark.parametrize(("name", "conditions", "width"), CASES)
def test_a_figure_fits_its_page(name: str, conditions: int, width: str) -> None:
    figure = draw_figure(name, conditions, width)  # `draw` has laid it out and rejects text outside the figure
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]  # type: ignore[attr-defined]
    assert min(text.get_fontsize() for text in texts) >= 6, "small text cannot be read"
    panels = [axes for axes in figure.axes if axes.axison]
    for legend in [*figure.legends, *(legend for axes in panels if (legend := axes.get_legend()))]:
        box = legend.get_window_extent()
        for axes in panels:
            assert not box.overlaps(axes.get_window_extent()), "a legend covers a panel"
            labels = axes.xaxis.get_tightbbox()
            assert labels is None or not box.overlaps(labels), "a legend covers labels"
        handles = [line for line in legend.legend_handles if isinstance(line, Line2D)]
        looks = {(to_hex(line.get_color()), str(line.get_linestyle()), str(line.get_marker())) for line in handles}
        assert len(looks) == len(handles), "two looks are equal"
