import io
import itertools

import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from lab.plots import gallery
from lab.plots.gallery import Cell, Role, contrast, picture, png, role_colours
from lab.runs.outputs import MARK

CELLS = [Cell(0, "one", 1, False), Cell(0, "two", 2, True), Cell(1, "three", 1, False)]
ROLES = [Role("prompt", None), Role("answer", 0.5)]


def test_each_word_and_role_is_drawn_and_answers_are_framed() -> None:
    axes = picture(CELLS, ROLES, "a title").axes[0]
    texts = [text.get_text() for text in axes.texts]
    for words in ("a title", "one", "two", "three", "prompt", "answer (floor 0.5)"):
        assert texts.count(words) == 1
    framed = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_linewidth() > 1]
    assert len(framed) == 1
    assert len(axes.patches) == len(CELLS) + len(ROLES)


def test_cells_are_laid_out_like_text_without_overlap() -> None:
    cells = [Cell(row, "x" * (1 + number % 11), 1, False) for row in range(3) for number in range(40)]
    boxes = [patch for patch in picture(cells, ROLES[:1], "").axes[0].patches if isinstance(patch, Rectangle)][:-1]
    positions = [(box.get_y(), box.get_x(), box.get_width()) for box in boxes]
    assert positions == sorted(positions), "boxes are in reading order"
    for (top, left, width), (next_top, next_left, _) in itertools.pairwise(positions):
        assert left + width <= gallery.WIDTH
        assert next_left == pytest.approx(left + width) if next_top == top else next_left == 0
    for end in (39, 79):
        assert positions[end + 1][0] > positions[end][0], "an instance begins a line"


@pytest.mark.parametrize("roles", range(1, 13))
def test_colours_of_roles_differ_in_grey_and_contrast_text(roles: int) -> None:
    colours = role_colours(roles)
    assert len(set(colours)) == roles
    for one, other in itertools.pairwise(colours):
        assert contrast(one, "black") > contrast(other, "black"), "each colour is darker than the one before"
    for colour in colours:
        assert max(contrast(colour, ink) for ink in ("black", "white")) >= 4.5


def test_contrast_agrees_with_the_standard() -> None:
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)


def test_the_same_picture_gives_the_same_bytes() -> None:
    data = png(picture(CELLS, ROLES, "a title"))
    assert data == png(picture(CELLS, ROLES, "a title"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.text == {"Comment": MARK}  # type: ignore[attr-defined]
