import itertools
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lab import plots
from lab.errors import LabError
from lab.plots.curves import band_note, band_table
from lab.plots.style import LOOKS, LUMINANCE
from lab.stats.bootstrap import bootstrap_interval


def frame(ns: tuple[int, ...] = (1, 2), seeds: int = 4) -> pd.DataFrame:
    """Return a frame of sigmoid curves, and of scores of three layers with two attention heads."""
    rng = np.random.default_rng(0)
    rows = []
    for n in ns:
        for seed in range(seeds):
            middle = 12 + rng.normal(0, 0.2) - 0.3 * n
            for step in range(0, 201, 20):
                tokens = 2048 * step
                curve = 0.03 + 0.95 / (1 + np.exp(-6 * (np.log(tokens + 1) - middle)))
                values = {"accuracy/copy/1": curve, "prefix_matching/trunk": 0.5 * curve, "prefix_matching/prediction": curve}
                values |= {f"prefix_matching/trunk.0/{head}": rng.random() for head in (0, 1)}
                values |= {f"prefix_matching/prediction.{i}/{head}": rng.random() for i in range(1, n + 1) for head in (0, 1)}
                rows += [
                    (f"n{n}s{seed}", "induction", n, seed, step, tokens, metric, value) for metric, value in values.items()
                ]
    return pd.DataFrame(rows, columns=["run", "task", "n_future", "seed", "step", "tokens", "metric", "value"])


def test_the_numbers_of_a_curve_are_mean_and_interval_over_seeds() -> None:
    tidy = frame(seeds=6)
    table = band_table(tidy, ["accuracy/copy/1"])
    row = table[(table["condition"] == "n = 2") & (table["tokens"] == 2048 * 100)].iloc[0]
    values = tidy[(tidy["n_future"] == 2) & (tidy["step"] == 100) & (tidy["metric"] == "accuracy/copy/1")]["value"]
    interval = bootstrap_interval(values)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["seeds"] == 6
    assert row["low"] <= interval.mean <= row["high"]


def test_a_curve_is_drawn_against_steps_flops_or_seconds_as_well() -> None:
    tidy = frame()
    tidy["flops"] = tidy["step"] * 1e12 * (1 + 0.5 * tidy["n_future"])
    tidy["seconds"] = 1 + tidy["step"] * 0.1 + 0.01 * tidy["seed"]
    usual = plots.emergence(tidy, "accuracy/copy/1")[1]
    for x, column, label in (("steps", "step", "optimiser steps"), ("flops", "flops", "training FLOPs"),
                             ("seconds", "seconds", "wall time (seconds)")):  # fmt: skip
        figure, table = plots.emergence(tidy, "accuracy/copy/1", x=x)
        axes = figure.axes[0]
        assert axes.get_xlabel() == label
        assert table["mean"].tolist() == usual["mean"].tolist()
        assert "tokens" not in table.columns
        points = table.loc[table["condition"] == "n = 2", column].tolist()
        expected = tidy[(tidy["n_future"] == 2) & (tidy["metric"] == "accuracy/copy/1")].groupby("step")[column].mean()
        assert points == pytest.approx(expected.tolist())
        (mean,) = [line for line in axes.lines if line.get_label() == "n = 2"]
        assert mean.get_xdata().tolist() == pytest.approx([point for point in points if point > 0])


def test_an_axis_without_data_is_rejected() -> None:
    tidy = frame().assign(seconds=np.nan)
    with pytest.raises(LabError, match="unknown x-axis 'flop'; did you mean 'flops'"):
        plots.emergence(tidy, "accuracy/copy/1", x="flop")
    with pytest.raises(LabError, match="do not say their seconds at every evaluation point"):
        plots.emergence(tidy, "accuracy/copy/1", x="seconds")


def test_the_emergence_curve_has_labels_legend_bands_and_note() -> None:
    figure, table = plots.emergence(frame(seeds=6), "accuracy/copy/1", lines={"chance": 1 / 32})
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "training tokens seen"
    assert "accuracy on the copied segment" in axes.get_ylabel()
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["n = 1", "n = 2"]
    assert "90 % bootstrap band over 6 seeds" in figure.get_suptitle()
    assert len(axes.collections) == 2, "a band for each n"
    assert "chance" in [text.get_text() for text in axes.texts]
    assert (table["tokens"] == 0).any(), "the table keeps the point that the log axis cannot show"


def test_few_seeds_are_stated_in_the_note() -> None:
    (note,) = band_note(band_table(frame(seeds=2), ["accuracy/copy/1"]))
    assert "fewer than 5 seeds" in note
    assert "band" not in note
    assert band_note(band_table(frame(seeds=1), ["accuracy/copy/1"])) == ["one seed a line: no band"]


def test_a_curve_ends_where_half_of_its_seeds_end() -> None:
    tidy = frame(seeds=6)
    cut = tidy[~(tidy["run"].isin(["n1s0", "n1s1"]) & (tidy["step"] > 100))]
    cut = cut[~(cut["run"].isin(["n1s2", "n1s3"]) & (cut["step"] > 160))]
    figure, table = plots.emergence(cut, "accuracy/copy/1")
    axes = figure.axes[0]
    rows = table[table["condition"] == "n = 1"].set_index("step")
    assert rows["seeds"].tolist() == [6] * 6 + [4] * 3
    assert set(rows["condition_seeds"]) == {6}
    long = tidy[(tidy["n_future"] == 1) & (tidy["step"] == 140) & (tidy["metric"] == "accuracy/copy/1")]
    assert rows.loc[140, "mean"] == pytest.approx(long[long["seed"] >= 2]["value"].mean())
    assert table[table["condition"] == "n = 2"]["step"].max() == 200
    assert "thin: over 4 of them" in figure.get_suptitle()
    thick = next(line for line in axes.get_lines() if line.get_label() == "n = 1").get_ydata()
    assert np.isnan(thick.astype(float)).tolist() == [False] * 5 + [True] * 3


def test_seeds_are_averaged_at_their_step_whatever_their_tokens() -> None:
    tidy = frame()
    tidy["tokens"] += tidy["seed"] * (tidy["step"] > 0)
    table = band_table(tidy, ["accuracy/copy/1"])
    assert set(table["seeds"]) == {4}
    assert table["tokens"].tolist()[1] == 2048 * 20 + 1.5


def test_few_seeds_are_drawn_separately() -> None:
    figure, table = plots.emergence(frame((1,), seeds=3), "accuracy/copy/1")
    axes = figure.axes[0]
    drawn = [line.get_ydata().tolist() for line in axes.get_lines()]
    for seed in range(3):
        assert table[f"seed {seed}"].tolist()[1:] in drawn
    assert not axes.collections
    assert "each seed" in figure.get_suptitle()


def test_the_induction_figure_separates_trunk_and_heads() -> None:
    figure, table = plots.induction(frame())
    axes = figure.axes[0]
    assert set(table["metric"]) == {"prefix_matching/trunk", "prefix_matching/prediction"}
    assert not axes.texts, "old runs have no chance level"
    assert {line.get_linestyle() for line in axes.get_lines()} == {"-", ":"}


def test_induction_figures_state_the_heads_and_chance() -> None:
    tidy = frame()
    even = tidy[tidy["metric"] == "accuracy/copy/1"].assign(metric="prefix_matching/chance", value=0.05)
    tidy = pd.concat([tidy, even])
    figure, _ = plots.induction(tidy)
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert words == [
        f"n = {n}, {part}" for n in (1, 2) for part in ("trunk (best of 2)", f"prediction heads (best of {2 * n})")
    ]
    assert "chance" in [text.get_text() for text in axes.texts]
    figure, _ = plots.heatmap(tidy[tidy["n_future"] == 1])
    axes = figure.axes[0]
    assert "chance: 0.05" in figure.get_suptitle()


def test_the_heat_map_shows_every_attention_head_at_the_end() -> None:
    tidy = frame()
    figure, matrix = plots.heatmap(tidy[tidy["n_future"] == 2])
    axes = figure.axes[0]
    assert list(matrix["layer"]) == ["trunk layer 0", "prediction head 1", "prediction head 2"]
    last = tidy[(tidy["n_future"] == 2) & (tidy["step"] == 200) & (tidy["metric"] == "prefix_matching/prediction.2/1")]
    assert matrix.set_index("layer").loc["prediction head 2", 1] == pytest.approx(last["value"].mean())
    assert len(axes.texts) == 6


def test_heat_maps_of_several_conditions_have_a_panel_each() -> None:
    figure, matrix = plots.heatmap(frame())
    assert [panel.get_title() for panel in figure.axes[:-1]] == ["n = 1", "n = 2"], "the last is the colour bar"
    assert matrix.groupby("condition")["layer"].count().to_dict() == {"n = 1": 2, "n = 2": 3}
    with pytest.raises(LabError, match="7 conditions are too many"):
        plots.heatmap(frame(tuple(range(1, 8)), seeds=1))


def test_heat_maps_of_nothing_are_rejected() -> None:
    with pytest.raises(LabError, match="the runs have no metrics yet"):
        plots.heatmap(frame()[:0])
    with pytest.raises(LabError, match="the runs have no prefix_matching scores"):
        plots.heatmap(frame().query("metric == 'accuracy/copy/1'"))


def test_empty_frames_and_unknown_metrics_are_rejected_by_name() -> None:
    with pytest.raises(LabError, match="no metrics yet"):
        plots.emergence(frame()[:0], "accuracy/copy/1")
    with pytest.raises(LabError, match="did you mean 'accuracy/copy/1'"):
        plots.emergence(frame(), "accuracy/cpy/1")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_figure_is_saved_with_a_table_of_its_numbers(tmp_path: Path, suffix: str) -> None:
    with plots.style():
        figure, table = plots.emergence(frame(), "accuracy/copy/1")
        saved = plots.save(figure, table, tmp_path / f"curve{suffix}")
    assert saved == [tmp_path / f"curve{suffix}", tmp_path / "curve.csv"]
    assert {path.name for path in tmp_path.iterdir()} == {"curve.csv", f"curve{suffix}"}
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "curve.csv"), table, check_dtype=False)
    if suffix == ".png":
        assert np.asarray(Image.open(saved[0]).convert("L")).std() > 5, "the picture is not blank"


def test_the_style_does_not_change_global_settings() -> None:
    before = dict(mpl.rcParams)
    with plots.style():
        assert mpl.rcParams["axes.grid"]
    assert dict(mpl.rcParams) == before


def test_neighbouring_looks_differ_in_lightness_line_and_marker() -> None:
    lightness = [float(np.dot(to_rgb(look.colour), LUMINANCE)) for look in LOOKS]
    assert all(abs(one - other) > 0.1 for one, other in itertools.pairwise(lightness))
    assert all(one.line != other.line for one, other in itertools.pairwise(LOOKS))
    assert len({look.marker for look in LOOKS}) == len(LOOKS)
