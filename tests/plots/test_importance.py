import pandas as pd
import pytest

from lab import plots
from lab.errors import LabError

METRIC = "accuracy/turn/1"


def frame(metric: str = METRIC, seeds: int = 3) -> pd.DataFrame:
    """Return a frame of ten rates, two kinds of heads and two n; the metric depends on the rate alone."""
    rows = []
    for index in range(10):
        rate = 10 ** (-4 + index / 3)
        for n in (1, 2):
            kind = ("parallel", "causal")[(index + n) % 2]
            for seed in range(seeds):
                run = f"{index}-{n}-{kind}-{seed}"
                rows.append((run, "star", n, seed, rate, kind, 100, 1000, metric, 0.1 * index + 0.001 * seed))
    columns = ["run", "task", "n_future", "seed", "optimiser.peak_lr", "model.heads", "step", "tokens", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_importance_has_a_bar_and_a_chance_mark_per_setting() -> None:
    figure, table = plots.importance(frame(), METRIC)
    axes = figure.axes[0]
    assert table["setting"][0] == "optimiser.peak_lr"
    assert axes.get_yticklabels()[0].get_text() == "peak lr"
    assert [bar.get_width() for bar in axes.patches] == table["importance"].tolist()
    assert axes.get_lines()[0].get_xdata().tolist() == table["chance"].tolist()
    assert "over 20 configurations, 3 seeds" in figure.get_suptitle()


def test_parallel_has_a_line_for_each_configuration() -> None:
    figure, table = plots.parallel(frame(), METRIC)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["n", "peak lr", "heads", "accuracy"]
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 4]
    assert len(lines) == len(table) == 20
    ends = [line.get_ydata()[-1] for line in lines]
    assert ends == sorted(ends)
    assert (ends[0], ends[-1]) == (0, 1)
    best = lines[-1]
    assert best.get_ydata()[1] == pytest.approx(1)  # the highest rate, logarithmic
    middle = table.index[table["optimiser.peak_lr"].round(6) == round(10 ** (-4 + 5 / 3), 6)][0]
    assert lines[middle].get_ydata()[1] == pytest.approx(5 / 9)


def test_the_best_of_a_loss_is_the_lowest_and_drawn_last() -> None:
    figure, table = plots.parallel(frame("loss/turn/1"), "loss/turn/1")
    axes = figure.axes[0]
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 4]
    assert lines[-1].get_ydata()[-1] == 0
    assert table["mean"].is_monotonic_decreasing


def test_levels_are_evenly_spaced_and_named() -> None:
    figure, _ = plots.parallel(frame(), METRIC)
    axes = figure.axes[0]
    assert {text.get_text() for text in axes.texts} >= {"1", "2", "parallel", "causal", "0.0001", "0.1"}


@pytest.mark.parametrize("name", ["importance", "parallel"])
def test_frames_that_cannot_be_compared_are_rejected(name: str) -> None:
    with pytest.raises(LabError, match="did you mean 'accuracy/turn/1'"):
        plots.find_figure(name)(frame(), "accuracy/tun/1")
    alike = frame()
    with pytest.raises(LabError, match="differ in no setting"):
        plots.find_figure(name)(alike[(alike["run"] == "0-1-causal-0")], METRIC)
