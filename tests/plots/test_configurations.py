"""No figure, of training or of an instrument, averages different configurations as if they were seeds."""

import inspect
from typing import Any

import pandas as pd
import pytest

from lab import plots
from lab.errors import LabError
from lab.inspection.instruments import INSTRUMENTS
from tests.helpers.figure_frames import METRIC, decoded_frame, instrument_frame, training_frame

LAST, BOTH = (100,), (50, 100)
"""Steps of a frame; some figures of instruments are curves if there are several."""
DRAWN = [*((name, LAST) for name in plots.FIGURES), *((name, steps) for name in INSTRUMENTS for steps in (LAST, BOTH))]
OF_ONE_RUN = [("attention", LAST), ("attention", BOTH), ("circuits", LAST)]
"""Figures that draw a single run."""
OF_EACH = [(name, LAST) for name in ("importance", "parallel", "pareto")]
"""Figures that draw every configuration separately, whatever `by` is."""


def draw_numbers(name: str, steps: tuple[int, ...], by: list[str] | None) -> pd.DataFrame:
    """Draw a figure of several rates with two seeds each and return its numbers; two rates, or eight where two are too few."""
    rates = [1e-3 * (1 + rate) for rate in range(8 if name == "importance" else 2)]
    configurations = [{"n_future": 2, "optimiser.peak_lr": rate} for rate in rates]
    if name in INSTRUMENTS:
        draw, frame = INSTRUMENTS[name].load_draw(), instrument_frame(name, configurations, steps=steps)
    else:
        draw = plots.FIGURES[name]
        frame = (decoded_frame if name in ("acceptance", "speedup") else training_frame)(configurations)
    options: dict[str, Any] = {"metric": METRIC} if "metric" in inspect.signature(draw).parameters else {}
    figure, table = draw(frame, **options, **({} if by is None else {"by": by}))
    note = " ".join(figure.get_suptitle().split())  # lines may break between words
    assert name == "survival" or "90 %" not in note, "two seeds have no interval of their mean"
    return table


@pytest.mark.parametrize(("name", "steps"), [each for each in DRAWN if each not in OF_ONE_RUN])
def test_no_number_averages_two_configurations(name: str, steps: tuple[int, ...]) -> None:
    table = draw_numbers(name, steps, None)
    assert all(set(table[column]) == {2} for column in ("seeds", "condition_seeds", "runs") if column in table)
    assert "condition" not in table or table["condition"].nunique() == 2


@pytest.mark.parametrize(("name", "steps"), [each for each in DRAWN if each not in (*OF_ONE_RUN, *OF_EACH)])
def test_conditions_that_hide_a_setting_are_rejected(name: str, steps: tuple[int, ...]) -> None:
    with pytest.raises(LabError, match=r"differ in optimiser\.peak_lr and not in the seed alone"):
        draw_numbers(name, steps, ["n_future"])
