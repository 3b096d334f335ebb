"""The figure of derailing: first errors by position, and a bar for each quantity and condition."""

import pandas as pd

from lab.plots.derailing import BARS, draw_derailing


def derailing_frame(*quantities: str) -> pd.DataFrame:
    rows = []
    for n in (1, 2):
        for seed in (0, 1):
            of_run = {"run": f"n{n}-{seed}", "task": "star", "n_future": n, "seed": seed, "parameters": 9, "state": "finished"}
            points = [("first error", "all", position) for position in range(3)] + [(each, "all", -1) for each in quantities]
            rows += [
                {
                    **of_run,
                    "step": 5,
                    "tokens": 50.0,
                    "quantity": quantity,
                    "role": role,
                    "position": position,
                    "value": 0.1 * n,
                }
                for quantity, role, position in points
            ]
    return pd.DataFrame(rows)


def test_positions_are_drawn_as_lines_and_quantities_as_bars() -> None:
    figure, table = draw_derailing(derailing_frame(*BARS))
    lines, bars = figure.axes
    assert [line.get_xdata().tolist() for line in lines.get_lines()] == [[0, 1, 2]] * 2
    assert [round(patch.get_height(), 6) for patch in bars.patches] == [0.1] * len(BARS) + [0.2] * len(BARS)
    assert set(table["seeds"]) == {2}


def test_quantities_that_are_missing_have_no_bar() -> None:
    figure, _ = draw_derailing(derailing_frame("any error", "exposure gap"))
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [BARS["any error"], BARS["exposure gap"]]
