import pandas as pd
import pytest

from lab import plots
from lab.errors import LabError


def gradient_frame(ns: tuple[int, ...] = (1, 3), seeds: int = 2) -> pd.DataFrame:
    rows = []
    for n in ns:
        for seed in range(seeds):
            for step in (0, 100, 200):
                values = {f"gradient/trunk/{head}": head + 0.001 * step + seed for head in range(1, n + 1)}
                values |= {
                    f"gradient/cosine/trunk/{i}/{j}": 0.1 * j - 0.2 * i for i in range(1, n) for j in range(i + 1, n + 1)
                }
                values |= {"gradient/share/copy/all": 0.8, "gradient/share/new/all": 0.2, "gradient/share/new/1": 0.5}
                values |= {"gradient/trunk.0/1": 9.0, "loss/all/1": 1.0}
                rows += [(f"{n}-{seed}", n, seed, step, 2048 * step, name, value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["run", "n_future", "seed", "step", "tokens", "metric", "value"])


def test_every_condition_has_norms_and_cosines_with_head_1() -> None:
    figure, table = plots.gradients(gradient_frame())
    panels = figure.axes
    assert len(panels) == 6
    (legend,) = figure.legends
    words = [*(f"prediction head {head}" for head in (1, 2, 3)), "copy", "new"]
    assert [text.get_text() for text in legend.get_texts()] == words
    assert [panel.get_yscale() for panel in panels] == ["log"] * 2 + ["linear"] * 4
    low, high = panels[1].get_ylim()
    assert low < 1.6 < 3.6 < high, "no value is cut off"
    assert panels[3].get_ylim() == (-1.05, 1.05)
    assert [text.get_text() for text in panels[2].texts] == ["one head"], "a cosine needs two heads"
    assert [bool(panel.get_ylabel()) for panel in panels] == [True, False] * 3
    assert set(table["metric"]) == {
        "gradient/trunk/1", "gradient/trunk/2", "gradient/trunk/3", "gradient/cosine/trunk/1/2", "gradient/cosine/trunk/1/3",
        "gradient/share/copy/all", "gradient/share/new/all",
    }  # fmt: skip
    row = table[
        (table["condition"] == "n = 3") & (table["metric"] == "gradient/trunk/2") & (table["tokens"] == 2048 * 100)
    ].iloc[0]
    assert row["mean"] == pytest.approx(2.6)
    assert row["line"] == "head 2"
    (second,) = [line for line in panels[1].lines if line.get_label() == "prediction head 2"]
    assert second.get_ydata().tolist() == pytest.approx([2.6, 2.7])


def test_a_condition_whose_targets_have_one_role_is_so_named() -> None:
    frame = gradient_frame((2, 3))
    figure, _ = plots.gradients(frame[(frame["n_future"] == 3) | ~frame["metric"].str.startswith("gradient/share/")])
    assert [text.get_text() for panel in figure.axes for text in panel.texts] == ["one role"]


def test_a_head_has_one_look_in_every_panel() -> None:
    panels = plots.gradients(gradient_frame((2, 3)))[0].axes
    two, three = ([line for line in panel.lines if line.get_label()[0] != "_"] for panel in panels[:2])
    assert [line.get_marker() for line in two] == [line.get_marker() for line in three][:2]
    assert len({(line.get_linestyle(), line.get_marker()) for line in three}) == 3


def test_no_two_lines_look_alike() -> None:
    panels = plots.gradients(gradient_frame((8,)))[0].axes
    lines = [line for panel in (panels[0], panels[2]) for line in panel.lines if line.get_label()[0] != "_"]
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines) == 10


def test_rows_of_panels_without_a_metric_are_left_out() -> None:
    frame = gradient_frame((1,))
    figure, _ = plots.gradients(frame[~frame["metric"].str.contains("share")])
    assert len(figure.axes) == 1


def test_runs_without_gradient_metrics_are_rejected() -> None:
    frame = gradient_frame()
    with pytest.raises(LabError, match=r"evaluation\.measures\.gradients"):
        plots.gradients(frame[frame["metric"] == "loss/all/1"])
