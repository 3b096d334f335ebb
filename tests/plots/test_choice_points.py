"""The figure of choice points: points of measured weights against n, and lines of counts."""

import pandas as pd
import pytest

from lab.errors import LabError
from lab.plots.choice_points import draw_choice_points


def weights(**more: object) -> pd.DataFrame:
    rows = []
    for n in (1, 2, 3):
        for seed in (0, 1):
            of_run = {
                "run": f"n{n}-{seed}",
                "task": "choice",
                "n_future": n,
                "seed": seed,
                "parameters": 9,
                "state": "finished",
            }
            for role, value in (("choice", n * (n + 1) / 2), ("free", n)):
                for quantity in ("loss", "gradient", "loss share"):
                    rows.append(
                        {**of_run, **more, "step": 5, "tokens": 50.0, "role": role, "quantity": quantity, "value": value}
                    )
    return pd.DataFrame(rows)


def test_points_are_at_n_with_the_label_of_their_role() -> None:
    figure, table = draw_choice_points(weights())
    for axes in figure.axes:
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert lines["choices"].get_ydata().tolist() == [1, 3, 6]
        assert lines["choices"].get_xdata().round().tolist() == [1, 2, 3]
        assert lines["random tokens without consequences"].get_ydata().tolist() == [1, 2, 3]
    assert set(table["n_future"]) == {1, 2, 3}


def test_other_settings_have_separate_points() -> None:
    both = pd.concat([weights(**{"model.width": 8}), weights(**{"model.width": 16}).assign(run=lambda rows: rows["run"] + "w")])
    figure, _ = draw_choice_points(both)
    labels = {str(line.get_label()) for line in figure.axes[0].get_lines()}
    assert {"choices, width = 8", "choices, width = 16"} <= labels


def test_a_frame_without_weights_is_rejected() -> None:
    frame = weights()
    with pytest.raises(LabError, match="no role has a weight"):
        draw_choice_points(frame[frame["quantity"] == "loss share"])
