"""Figures of probes by offset draw each number on the right line."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from lab.errors import LabError
from lab.plots.offsets import draw_offsets

SITES = {"embedding": 0, "trunk.0.residual": 1, "prediction.1.residual": 2, "prediction.2.residual": 2}
CONTROLS = {"none": 1.0, "shuffled labels": 0.1, "untrained network": 0.5, "majority": 0.2}


def frame(ns: tuple[int, ...] = (1, 2), last: int = 20) -> pd.DataFrame:
    """Return accuracies that grow with the layer and n and fall with the offset; at the first of two steps they are 0."""
    rows = []
    for n, seed, step, site, offset, control in itertools.product(ns, range(5), (10, last), SITES, (1, 2, 3), CONTROLS):
        value = (step == last) * (0.2 + 0.1 * SITES[site] + 0.05 * n) * CONTROLS[control] / offset
        described = {"run": f"{n}-{seed}", "task": "markov", "n_future": n, "seed": seed, "step": step, "tokens": 100 * step}
        rows.append({**described, "site": site, "layer": SITES[site], "offset": offset, "control": control, "value": value})
    return pd.DataFrame(rows)


def lines(axes: Axes) -> dict[str, np.ndarray]:
    for line in axes.get_lines():
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    return {str(line.get_label()): np.asarray(line.get_ydata()) * [1, 2, 3] for line in axes.get_lines()}


def test_a_panel_of_a_condition_has_a_line_for_each_layer() -> None:
    figure, table = draw_offsets(frame())
    assert [axes.get_title() for axes in figure.axes] == ["n = 1", "n = 2"]
    found = lines(figure.axes[1])
    layers = ["embedding", "trunk layer 0", "prediction head 1"]
    assert list(found) == [*layers, "untrained network", "shuffled labels", "majority"], "head 2 is not on the path"
    for label, value in zip(layers, [0.3, 0.4, 0.5], strict=True):
        np.testing.assert_allclose(found[label], value)
    for control, share in CONTROLS.items():
        if control != "none":
            np.testing.assert_allclose(found[control], share * 0.5, err_msg="at its best layer")
    assert set(table["seeds"]) == {5}


def test_conditions_are_compared_at_a_layer() -> None:
    figure, table = draw_offsets(frame(), layer="1")
    found = lines(figure.axes[0])
    np.testing.assert_allclose(found["n = 1"], 0.35)
    np.testing.assert_allclose(found["n = 2"], 0.4)
    np.testing.assert_allclose(found["untrained network"], 0.5 * 0.375, err_msg="the mean of the conditions")
    assert set(table["layer"]) == {1}


def test_the_last_step_of_each_run_is_drawn() -> None:
    both = pd.concat([frame(ns=(1,)), frame(ns=(2,), last=30)])
    found = [lines(axes)["embedding"] for axes in draw_offsets(both)[0].axes]
    np.testing.assert_allclose(found, [[0.25] * 3, [0.3] * 3])


def test_invalid_options_are_named() -> None:
    with pytest.raises(LabError, match="layer must be one of 0, 1, 2, not '3'"):
        draw_offsets(frame(), layer="3")
    with pytest.raises(LabError, match="7 conditions are too many"):
        draw_offsets(frame(ns=tuple(range(1, 8))))
