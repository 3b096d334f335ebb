"""Induction by size of the model (Gloeckle et al. 2024, section 4.1 and Fig 7): does a second head help small models to copy?

Stories whose characters have names of two tokens; the metric is the accuracy on the second token of names that the story has
mentioned before and training has never shown, at the best epoch on the test split, as in the paper.

The peak learning rate is the first thing that such a curve can hang on. It is tuned for every size on validation, on seeds
that no other run has: once with n = 1, whose rate both arms then get (what the figure shows first), and once with n = 2, as a
control. Of two equal rates the runs are the same.

    lab reproduce fig7 --scale laptop             about 60 minutes on two cores
    lab reproduce fig7 --scale paper --plan       what the paper's own settings would cost

The stories are the grammar's unless `--task.corpus FILE` names a text; rows of the paper's 2048 tokens, a step of as many
tokens as before, are `--task.length 2048 --batch-size 128` with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.analysis.cells import Rule, cell_table, comparison_table, run_values
from lab.analysis.statistics import LEVEL, bootstrap_interval
from lab.config import SIZES
from lab.config.presets import PAPER
from lab.plots.save import save
from lab.reproduce.page import markdown_table, write_page
from lab.runs import Run
from lab.runs.frames import frame
from lab.runs.names import reference_lines
from lab.sweeping import Sweep
from lab.sweeping.files import from_mapping

METRIC = "accuracy/second_again/1"
TOLD: tuple[tuple[str, Rule], ...] = (
    (METRIC, "best"),
    (METRIC, "last"),
    ("loss/second_again/1", "last"),
    ("loss/all/1", "last"),
)
"""What the page compares: the paper's rule, the same without its choice on the test split, nats there and on all tokens."""
ARMS = (1, 2)
RATE = "optimiser.peak_lr"


@dataclass(frozen=True)
class Scale:
    """A size of the study.

    Attributes:
        base: What all runs share.
        sizes: Settings by the name of a size, from the smallest up.
        seeds: Of the runs that the figure shows.
        rates: Peak learning rates to choose from; one: nothing is tuned.
        tuning_seeds: Of the runs that choose.
    """

    base: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    rates: Sequence[float]
    tuning_seeds: Sequence[int] = ()


_PAPER_PARTS = {"1M": 4, "3M": 4, "10M": 8, "30M": 16, "100M": 32, "300M": 64, "1B": 128}
"""Into how many parts a step of 2^18 tokens is cut, to fit the memory of one GPU."""

SCALES: dict[str, Scale] = {
    "laptop": Scale(
        base={
            "task": "stories",
            "steps": 500,
            "batch_size": 16,
            "examples": 1600,
            "evaluation.every": 100,
            "evaluation.examples": 256,
            "evaluation.induction_scores": False,
        },
        sizes={f"d{width}": {"model.width": width} for width in (32, 48, 64, 96)},
        seeds=range(200, 208),
        rates=(2e-3, 4e-3, 8e-3, 1.6e-2),
        tuning_seeds=(300, 301),
    ),
    "paper": Scale(
        base={"task": "stories", **PAPER["stories"], "precision": "bfloat16", "compile": "default"},
        sizes={name: {"model.size": name, "accumulate": _PAPER_PARTS[name]} for name in SIZES},
        seeds=range(2),
        rates=(PAPER["stories"][RATE],),
    ),
}
"""`laptop`: an epoch of 1600 stories has 100 steps, and ends with an evaluation. `paper`: tables S13 and S14 and two seeds."""


def sweeps(scale: str) -> list[Callable[[Sequence[Run]], Sweep]]:
    """The sweep that chooses rates, unless there is nothing to choose, and the one that the figure shows."""
    chosen = SCALES[scale]
    if len(chosen.rates) == 1:
        return [lambda _: _main_sweep(scale, {n: dict.fromkeys(chosen.sizes, chosen.rates[0]) for n in ARMS})]
    return [lambda _: _tuning_sweep(scale), lambda tuned: _main_sweep(scale, _rates(scale, tuned))]


def _tuning_sweep(scale: str) -> Sweep:
    """Every size, n and rate on validation, on seeds of its own."""
    chosen = SCALES[scale]
    return from_mapping(
        {
            "name": f"fig7-{scale}-rates",
            "base": dict(chosen.base),
            "grid": {"size": {name: dict(size) for name, size in chosen.sizes.items()}, "n_future": list(ARMS),
                     RATE: list(chosen.rates)},
            "seeds": list(chosen.tuning_seeds),
            "metrics": {METRIC: "maximise"},
            "rule": "best",
        }
    )  # fmt: skip


def _main_sweep(scale: str, rates: Mapping[int, Mapping[str, float]]) -> Sweep:
    """Every size and n on the test split, with the rates (by the n that chose them, and size)."""
    chosen = SCALES[scale]
    cells = {
        f"{name}-n{n}-lr{rate:g}": {**size, "n_future": n, RATE: rate}
        for name, size in chosen.sizes.items()
        for rate in sorted({rates[tuner][name] for tuner in ARMS})
        for n in ARMS
    }
    return from_mapping(
        {
            "name": f"fig7-{scale}",
            "base": {**chosen.base, "evaluation.split": "test"},
            "grid": {"cell": cells},
            "seeds": list(chosen.seeds),
            "metrics": {METRIC: "maximise"},
            "rule": "best",
        }
    )


def _rates(scale: str, tuned: Sequence[Run]) -> dict[int, dict[str, float]]:
    """The best rate by n and size; with no runs different ones for all, which makes the largest sweep."""
    chosen = SCALES[scale]
    if not tuned:
        return {n: dict.fromkeys(chosen.sizes, rate) for n, rate in zip(ARMS, chosen.rates, strict=False)}
    means = tuning_table(tuned)
    best = means.loc[means.groupby(["n_future", "size"])["mean"].idxmax()].set_index(["n_future", "size"])[RATE]
    return {n: {name: float(best[n, name]) for name in chosen.sizes} for n in ARMS}


def tuning_table(tuned: Sequence[Run]) -> pd.DataFrame:
    """What each rate reached on validation at the best epoch: `size`, `n_future`, the rate, `mean`, `low`, `high`, `seeds`."""
    return cell_table(run_values(sized(tuned), METRIC, "best"), ["size", "n_future", RATE])


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Figures, numbers and page of what the runs show.

    Args:
        scale: Of `SCALES`.
        finished: Runs of each of the `sweeps`.
        out: Folder for `fig7.png` and `emergence.png`, their numbers as CSV, `frame.csv`, `report.md` and what was tuned,
            `rates.csv`.
    """
    *tuned, runs = finished
    rates = _rates(scale, *tuned) if tuned else {n: dict.fromkeys(SCALES[scale].sizes, SCALES[scale].rates[0]) for n in ARMS}
    named = sized(runs)
    named = named[named["metric"].str.match(r"(accuracy|loss)/(second_again|first_again|second_new|word|all)/\d")]
    of_rate = {tuner: _with_rates(named, rates[tuner]) for tuner in _tuners(rates)}
    with plots.style():
        files = [
            *_figure(of_rate, reference_lines(runs[0].experiment, METRIC), out / "fig7.png"),
            *_curves(of_rate[1], out / "emergence.png"),
        ]
    sections = {"In one line": "\n".join(f"- {line}" for line in findings(of_rate))}
    for tuner, table in of_rate.items():
        tuning = f"rate tuned with n = {tuner}" if tuned else f"rate {SCALES[scale].rates[0]:g}"
        sections[f"Accuracy on second tokens of names met again, best epoch, {tuning}"] = markdown_table(_summary(table))
        for metric, rule in TOLD:
            heading = f"n = 2 against n = 1: `{metric}`, {rule} evaluation, {tuning}"
            sections[heading] = markdown_table(against_one(table, metric, rule))
    if tuned:
        chances = tuning_table(*tuned)
        chances.to_csv(out / "rates.csv", index=False)
        files.append(out / "rates.csv")
        sections["Choice of the rate (best epoch on validation, seeds of its own)"] = markdown_table(_choice(chances, rates))
    page = write_page(out / "report.md", "Induction by size (Fig 7)", sections, [run for each in finished for run in each])
    named.to_csv(out / "frame.csv", index=False)
    return [*files, out / "frame.csv", page]


def against_one(table: pd.DataFrame, metric: str, rule: Rule) -> pd.DataFrame:
    """Two heads against one at every size, paired over seeds and corrected over sizes, and then over all of them together.

    The last row compares each seed's mean over sizes: one comparison with the power of all runs.
    """
    values = run_values(table, metric, rule).astype({"size": "str"})
    order = list(table["size"].cat.categories)
    by_size = comparison_table(values, within=["size"]).sort_values("size", key=lambda sizes: sizes.map(order.index))
    means = values.groupby(["n_future", "seed"])["value"].mean().reset_index()
    return pd.concat([by_size, comparison_table(means).assign(size="all sizes")], ignore_index=True)


def findings(of_rate: Mapping[int, pd.DataFrame]) -> list[str]:
    """A sentence for each way in which the rate was tuned: where n = 2 copies better, where worse, and over all sizes."""
    lines = []
    for tuner, table in of_rate.items():
        rows = against_one(table, METRIC, "best")
        *sizes, every = rows.to_dict("records")
        parts = []
        for word, sign in (("better", 1), ("worse", -1)):
            found = [row for row in sizes if row["p_holm"] <= 1 - LEVEL and row["difference"] * sign > 0]
            if found:
                parts.append(f"{word} at " + ", ".join(f"{row['size']} ({row['difference']:+.3f})" for row in found))
        what = "; ".join(parts) or "not reliably different from n = 1 at any size"
        overall = f"{every['difference']:+.3f} [{every['low']:+.3f}, {every['high']:+.3f}], p = {every['p_value']:.2g}"
        lines.append(f"At the rate that is best for n = {tuner}, n = 2 is {what}; over all sizes {overall}.")
    return lines


def _tuners(rates: Mapping[int, Mapping[str, float]]) -> list[int]:
    """Which n's rates are told: one suffices where they agree everywhere."""
    return list(ARMS) if rates[1] != rates[2] else [1]


def _with_rates(table: pd.DataFrame, rates: Mapping[str, float]) -> pd.DataFrame:
    """The rows of the runs that had the size's rate."""
    if RATE not in table.columns:
        return table
    return table[table[RATE] == table["size"].astype(str).map(rates)]


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each size and n."""
    values = run_values(table, METRIC, "best")
    rows = []
    for (size, n), part in values.groupby(["size", "n_future"], sort=True):
        interval = bootstrap_interval(part["value"].to_numpy(float))
        rows.append(
            {
                "size": size,
                "n": n,
                "non-embedding parameters": f"{part['parameters'].iloc[0]:,}",
                **({"rate": f"{part[RATE].iloc[0]:g}"} if RATE in part else {}),
                "mean": f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]",
                "each seed": " ".join(f"{value:.2f}" for value in part.sort_values("seed")["value"]),
            }
        )
    return pd.DataFrame(rows)


def _choice(chances: pd.DataFrame, rates: Mapping[int, Mapping[str, float]]) -> pd.DataFrame:
    """A row for each size and n: what every rate reached, and which was chosen."""
    wide = chances.pivot_table(index=["size", "n_future"], columns=RATE, values="mean", observed=True)
    tried = [float(rate) for rate in wide.columns]
    chosen = [rates[n][str(size)] for size, n in wide.index]
    told = [f"{rate:g}" + (" (an end of the range)" if rate in (min(tried), max(tried)) else "") for rate in chosen]
    return wide.set_axis([f"{rate:g}" for rate in tried], axis="columns").assign(chosen=told).reset_index()


def _figure(of_rate: Mapping[int, pd.DataFrame], lines: Mapping[str, float], path: Path) -> list[Path]:
    """A panel for each way in which the rate was tuned."""
    figure = Figure(figsize=(1.4 + 3.2 * len(of_rate), 3.1), layout="constrained")
    panels = figure.subplots(1, len(of_rate), sharey=True, squeeze=False)[0]
    numbers = []
    for axes, (tuner, table) in zip(panels, of_rate.items(), strict=True):
        _, drawn = plots.size(table, METRIC, rule="best", lines=lines, axes=axes)
        if len(of_rate) > 1:
            axes.set_title(f"rate tuned with n = {tuner}\n{axes.get_title(loc='left')}", loc="left", fontsize=7.5)
        if axes is not panels[0]:
            axes.set_ylabel("")
        numbers.append(drawn.assign(tuned_with=tuner))
    return save(figure, pd.concat(numbers, ignore_index=True), path)


def _curves(table: pd.DataFrame, path: Path) -> list[Path]:
    """The metric against tokens seen, a panel for each size."""
    sizes = list(table["size"].cat.categories)
    figure = Figure(figsize=(2.3 * len(sizes), 2.8), layout="constrained")
    numbers = []
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=True):
        _, drawn = plots.emergence(table[table["size"] == size], METRIC, axes=axes)
        note = axes.get_title(loc="left") if axes is panels[0] else ""
        axes.set_title(f"{size}\n{note}", loc="left", fontsize=7.5)
        if axes is not panels[0]:
            axes.set_ylabel("")
            axes.get_legend().remove()
        numbers.append(drawn.assign(size=size))
    return save(figure, pd.concat(numbers, ignore_index=True), path)


def sized(runs: Sequence[Run]) -> pd.DataFrame:
    """The frame of some runs with a column `size`, in order; a run's name begins with it."""
    table = frame(runs)
    names = table["run"].str.partition("-")[0]
    order = list(dict.fromkeys(run.name.partition("-")[0] for run in sorted(runs, key=_parameters)))
    return table.assign(size=pd.Categorical(names, categories=order, ordered=True))


def _parameters(run: Run) -> int:
    return int(run.record["non_embedding_parameters"])
