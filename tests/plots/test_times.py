"""The figure of times over two settings: its cells, its curves and its limits."""

import numpy as np
import pandas as pd
import pytest

from lab import plots
from lab.errors import LabError
from tests.helpers.frames import synthetic_frame

METRIC = "accuracy/copy/1"


def frame_of(configurations: list[dict[str, float]], seeds: int = 4) -> pd.DataFrame:
    """Build runs that pass the threshold at step 20 x width / n, and never with n = 1 and width 3."""

    def curve(settings: dict[str, float], seed: int, step: int) -> dict[str, float]:
        width, n = settings["model.width"], settings["n_future"]
        return {METRIC: float(step >= 20 * width / n and (width, n) != (3, 1))}

    return synthetic_frame(configurations, curve, seeds=seeds, tokens_per_step=1000)


BOTH = [{"model.width": width, "n_future": n} for width in (1, 2, 3) for n in (1, 2)]


def test_cells_hold_the_median_and_the_count_of_each_combination() -> None:
    figure, table = plots.times(frame_of(BOTH), METRIC)
    assert list(table["median"].fillna(0)) == [20e3, 20e3, 40e3, 20e3, 0, 40e3]
    assert list(table["escaped"]) == [4, 4, 4, 4, 0, 4]
    cells, *curves = figure.axes
    quick, slow, never = "20k\n4 of 4", "40k\n4 of 4", "> 100k\n0 of 4"
    assert [text.get_text() for text in cells.texts] == [quick, quick, slow, quick, never, slow]
    assert (cells.get_ylabel(), cells.get_xlabel()) == ("width", "n")
    assert len(curves) == 3
    alone, late = curves[2].lines
    np.testing.assert_array_equal(alone.get_ydata(), 1)
    assert late.get_xdata()[list(late.get_ydata()).index(0)] == 40e3


def test_one_setting_makes_one_row() -> None:
    figure, table = plots.times(frame_of(BOTH[:2]), METRIC)
    assert len(figure.axes) == 2
    assert list(table["n_future"]) == [1, 2]


def test_a_median_counts_the_runs_that_never_pass() -> None:
    frame = frame_of(BOTH)
    lost = frame["run"].isin(["0-0", "0-1"])
    frame.loc[lost, "value"] = 0.0
    assert plots.times(frame, METRIC)[1]["median"][0] == 20e3, "two of four passed"
    frame.loc[frame["run"] == "0-2", "value"] = 0.0
    assert np.isnan(plots.times(frame, METRIC)[1]["median"][0])


def test_expected_combinations_are_framed() -> None:
    figure, _ = plots.times(frame_of(BOTH), METRIC, expected=lambda width, n: n >= width)
    edges = {tuple(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in figure.axes[0].lines}
    corner = {((-0.5, -0.5), (-0.5, 0.5)), ((-0.5, -0.5), (0.5, -0.5)), ((0.5, 0.5), (0.5, 1.5)), ((-0.5, 0.5), (0.5, 0.5))}
    assert corner <= edges
    assert len(edges) == 8, "the outline of (1, 1), (1, 2) and (2, 2)"


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["model.width", "n_future", "seed"], "by must name one or two settings"),
        (["model.depth", "n_future"], "the runs have no column model.depth"),
        (["n_future"], r"differ in model\.width and not in the seed alone"),
    ],
)
def test_other_settings_are_rejected(by: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        plots.times(frame_of(BOTH), METRIC, by=by)


def test_too_many_values_are_rejected() -> None:
    many = [{"model.width": 1, "n_future": n} for n in range(1, 10)]
    with pytest.raises(LabError, match="n_future has more than 8 values"):
        plots.times(frame_of(many), METRIC)


def test_a_copied_run_counts_once_and_unfinished_ones_are_named() -> None:
    frame = frame_of(BOTH).assign(state="finished")
    frame.loc[frame["run"] == "0-1", "state"] = "running"
    copy = frame[frame["run"] == "0-0"].assign(run="copy")
    figure, table = plots.times(pd.concat([frame, copy]), METRIC)
    assert set(table["runs"]) == {4}
    assert table.attrs["notes"] == ("same configuration and seed again, counted once: copy (as 0-0)",)
    assert "not finished, observed so far: 0-1 (running at step 100)" in figure.get_suptitle().replace("\n", " ")
