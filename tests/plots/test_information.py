"""Figures of the two-token decomposition draw the right numbers."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import BarContainer

from lab.errors import LabError
from lab.plots.information import draw_information

PARTS = {"H(X)": 9.0, "H(X|Y)": 1.0, "I(X;Y)": 0.5, "H(Y|X)": 0.25}


def frame(steps: tuple[int, ...] = (10,)) -> pd.DataFrame:
    """Return a frame in which the parts of the model are n times those of the data and fall with the step."""
    rows = []
    for n, seed, step, role, source, part in itertools.product(
        (1, 2), range(5), steps, ("all", "stem", "verb"), ("data", "model"), PARTS
    ):
        described = {"run": f"{n}-{seed}", "task": "agreement", "n_future": n, "seed": seed, "step": step, "tokens": 100 * step}
        value = PARTS[part] * (n * 10 / step if source == "model" else 1.0)
        rows.append({**described, "role": role, "source": source, "quantity": part, "value": value})
    return pd.DataFrame(rows)


def test_bars_are_the_parts_of_each_condition() -> None:
    figure, table = draw_information(frame())
    assert [axes.get_title() for axes in figure.axes] == ["word stems", "verb"]
    groups = [group for group in figure.axes[0].containers if isinstance(group, BarContainer)]
    bars = [[bar.get_height() for bar in group] for group in groups]
    np.testing.assert_allclose(bars, [[1.0, 0.5, 0.25], [2.0, 1.0, 0.5]])
    assert "H(X)" not in set(table["quantity"])


def test_curves_are_the_parts_over_training() -> None:
    figure, _ = draw_information(frame(steps=(10, 100)), roles="all")
    assert len(figure.axes) == 3
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].get_lines()}
    np.testing.assert_allclose(lines["n = 2"], [1.0, 0.1])
    np.testing.assert_allclose(lines["in the data"], [0.5, 0.5])


def test_curves_stand_at_the_tokens_of_their_own_condition() -> None:
    trained = frame(steps=(10, 100))
    trained["tokens"] *= trained["n_future"]  # n = 2 with batches twice as large
    figure, _ = draw_information(trained, roles="all")
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].get_lines()}
    assert (list(lines["n = 1"]), list(lines["n = 2"])) == ([1000, 10_000], [2000, 20_000])


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(LabError, match="roles has no 'steam'; did you mean 'stem'"):
        draw_information(frame(), roles="steam")
