"""The page of any figure: its size, its texts and its style."""

import itertools
import re

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from lab import plots
from lab.errors import LabError
from lab.plots.page import Style, columns_of, current_page
from tests.helpers.frames import synthetic_frame

METRIC = "accuracy/copy/1"


def two(conditions: int = 2) -> pd.DataFrame:
    settings = [{"n_future": n, "model.width": 8 * n} for n in range(1, conditions + 1)]
    return synthetic_frame(settings, lambda own, seed, step: {METRIC: step / (100 + own["n_future"] + seed)})


def draw_emergence(**page: object) -> Figure:
    return plots.draw(plots.emergence, two(), METRIC, page=plots.Page(**page))[0]  # type: ignore[arg-type]


def texts(figure: Figure) -> list[Text]:
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("width", "inches"), [("column", 3.25), ("page", 6.75), ("85mm", 85 / 25.4), ("8.5 cm", 8.5 / 2.54), ("4in", 4), (5.5, 5.5)]
)
def test_a_figure_is_as_wide_as_its_page(width: str | float, inches: float) -> None:
    assert draw_emergence(width=width).get_figwidth() == pytest.approx(inches)


def test_a_height_is_kept_whatever_the_legend_and_title() -> None:
    assert draw_emergence(height="60mm", title="A title").get_figheight() == pytest.approx(60 / 25.4)


@pytest.mark.parametrize("style", Style.__args__)  # type: ignore[attr-defined]
def test_text_has_the_size_of_its_style(style: Style) -> None:
    sizes = {float(text.get_fontsize()) for text in texts(draw_emergence(style=style, title="A title"))}
    low, high = {"paper": (7, 8.5), "notebook": (7.4, 9), "talk": (11.6, 14)}[style]
    assert low <= min(sizes) <= max(sizes) <= high


def test_the_title_is_above_the_note_and_the_panel() -> None:
    figure = draw_emergence(title="Two heads")
    title, note = (next(t for t in texts(figure) if words in t.get_text()) for words in ("Two heads", "seeds"))
    panel = figure.axes[0].get_window_extent()
    assert title.get_window_extent().y0 >= note.get_window_extent().y1
    assert note.get_window_extent().y0 >= panel.y1
    assert title.get_window_extent().y1 <= figure.bbox.y1


def test_limits_and_labels_are_those_of_the_page() -> None:
    figure = draw_emergence(ylim=(0.5, 0.9), labels={"n = 1": r"next \1 token"})
    assert figure.axes[0].get_ylim() == (0.5, 0.9)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [r"next \1 token", "n = 2"]


def test_a_label_names_a_whole_condition_where_there_is_one() -> None:
    settings: list[dict[str, object]] = [
        {"n_future": n, "arm": f"n = {n}{rest}"} for n in (1, 2) for rest in ("", ", shuffled")
    ]
    frame = synthetic_frame(settings, lambda _, seed, step: {METRIC: step / (100 + seed)})
    figure, _ = plots.draw(plots.emergence, frame, METRIC, by=["arm"], page=plots.Page(labels={"n = 1": "one"}))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"one", "n = 1, shuffled", "n = 2", "n = 2, shuffled"}
    figure, _ = plots.draw(plots.induction, induction_frame(), page=plots.Page(labels={"n = 1": "one"}))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["one, trunk", "n = 12, trunk"], "12 begins with 1"


def induction_frame() -> pd.DataFrame:
    return synthetic_frame([{"n_future": n} for n in (1, 12)], lambda *_: {"prefix_matching/trunk": 0.5})


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ({"width": "colum"}, "width must be column, page, or a length"),
        ({"width": "3"}, "width must be column, page, or a length from 38mm to 1016mm, such as 85mm, 8.5cm or 3.3in, not '3'"),
        ({"width": "1mm"}, "width must be"),
        ({"height": "column"}, "height must be a length"),
        ({"height": "90ft"}, "height must be a length"),
        ({"height": float("nan")}, "height must be a length"),
        ({"style": "slide"}, "style must be notebook, paper, talk, not 'slide'"),
        ({"ylim": (1.0, 0.0)}, "ylim must be two finite numbers, the lower one first, not 1, 0"),
        ({"ylim": (0.0, float("nan"))}, "ylim must be two finite numbers"),
        ({"labels": {"n = 3": "three"}}, "label: the figure has no condition 'n = 3'; did you mean"),
        ({"height": "39mm", "title": "A title"}, "the figure has no room on 117mm x 39mm: give more width or height"),
    ],
)
def test_an_unsuitable_page_is_rejected(page: dict[str, object], message: str) -> None:
    with pytest.raises(LabError, match=re.escape(message)):
        draw_emergence(**page)


@pytest.mark.parametrize("name", ["grid", "parallel"])
def test_limits_need_an_axis_of_numbers(name: str) -> None:
    with pytest.raises(LabError, match="ylim: the figure has no vertical axis of numbers"):
        plots.draw(plots.find_figure(name), two(4).assign(parameters=1e3), METRIC, page=plots.Page(ylim=(0, 1)))


def test_the_page_applies_to_one_figure() -> None:
    with pytest.raises(LabError, match="the figure has no condition 'nothing'"):
        draw_emergence(labels={"nothing": ""}, style="talk")
    assert current_page() == plots.Page()


def test_panels_fill_as_many_columns_as_fit_on_the_page() -> None:
    found = []
    for width, style in itertools.product(("column", "page", None), ("paper", "talk")):
        with plots.style(plots.Page(width=width, style=style)):
            found.append(columns_of(6, 3))
    assert found == [2, 1, 3, 3, 3, 3]


def test_lines_are_thicker_in_a_talk() -> None:
    thin, thick = (draw_emergence(style=style).axes[0].get_lines()[0].get_linewidth() for style in ("notebook", "talk"))
    assert thick == pytest.approx(thin * 14 / 9)
