"""Figures of probes: the numbers of each cell, and the position that has a curve."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lab.errors import LabError
from lab.plots.probe import draw_probe

CONTROLS = {"none": 0.0, "shuffled labels": 0.6, "untrained network": 0.5, "majority": 0.7}


def frame(steps: tuple[int, ...] = (10,), ns: tuple[int, ...] = (1, 2), pooled: bool = False) -> pd.DataFrame:
    """Return accuracies that grow with the layer, and with n = 2 at position 1 also with the step."""
    sites = {"embedding": 0, "trunk.0.residual": 1, "prediction.1.residual": 2}
    rows = []
    for n, seed, step, site, index, target, control in itertools.product(
        ns, range(5), steps, sites, (0, 1), ("token t+1", "verb"), CONTROLS
    ):
        value = 0.1 + 0.1 * sites[site] + (0.001 * step if n == 2 and index else 0.0) - 0.1 * CONTROLS[control]
        described = {"run": f"{n}-{seed}", "task": "agreement", "n_future": n, "seed": seed, "step": step, "tokens": 100 * step}
        where = {"position": "all", "role": ("stem", "verb")[index]} if pooled else {"position": index, "role": ""}
        named = {"target": target, "score": "accuracy", "control": control, "value": value}
        rows.append({**described, "site": site, "layer": sites[site], **where, **named})
    return pd.DataFrame(rows)


def test_a_map_has_the_layers_downwards_then_the_controls() -> None:
    figure, table = draw_probe(frame(ns=(1,)))
    first, second = (axes for axes in figure.axes if axes.images)
    assert (first.get_title(), second.get_title()) == ("verb", "token t+1")
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels[:3] == ["prediction head 1", "trunk layer 0", "embedding"]
    assert labels[3:] == ["untrained network", "shuffled labels", "majority"]
    np.testing.assert_allclose(first.images[0].get_array()[:, 0], [0.3, 0.2, 0.1, 0.25, 0.24, 0.23])
    assert set(table["mean"].round(2)) >= {0.1, 0.2, 0.3}


def test_every_condition_has_a_map_of_the_chosen_targets() -> None:
    figure, table = draw_probe(frame(), show="verb")
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["verb, n = 1", "verb, n = 2"]
    assert set(table["target"]) == {"verb"}


def test_curves_are_of_the_position_where_conditions_differ_most() -> None:
    figure, table = draw_probe(frame(steps=(0, 10, 100)), show="verb")
    (axes,) = figure.axes
    assert axes.get_title() == "verb, at 1"
    assert set(table["position"]) == {1}
    line = next(line for line in axes.get_lines() if line.get_label() == "n = 2")
    np.testing.assert_allclose(line.get_ydata(), [0.21, 0.3])  # the best layer of the trunk; step 0 is not on a log axis
    np.testing.assert_allclose(line.get_xdata(), [1000, 10_000])


def test_curves_stand_at_the_tokens_of_their_own_condition() -> None:
    trained = frame(steps=(1, 2))
    tokens = 100.0 * trained["step"] * trained["n_future"]  # n = 2 with batches twice as large
    figure, _ = draw_probe(trained.assign(tokens=tokens), show="verb")
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].get_lines()}
    assert (list(lines["n = 1"]), list(lines["n = 2"])) == ([100, 200], [200, 400])


def test_curves_are_of_a_given_position_or_role() -> None:
    assert draw_probe(frame(steps=(1, 2)), show="verb", position="0")[0].axes[0].get_title() == "verb, at 0"
    pooled = frame(steps=(1, 2), pooled=True)
    assert draw_probe(pooled, show="verb", position="stem")[0].axes[0].get_title() == "verb, at stem"


def test_invalid_options_are_named() -> None:
    with pytest.raises(LabError, match="show has no target 'verbs'; did you mean 'verb'"):
        draw_probe(frame(), show="verbs")
    with pytest.raises(LabError, match="position must be one of 0, 1 for verb, not '7'"):
        draw_probe(frame(steps=(1, 2)), position="7")
    with pytest.raises(LabError, match="7 conditions are too many"):
        draw_probe(frame(ns=tuple(range(1, 8))))
