"""The report of Fig 7: the figure, curves, and a page of tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import write_frame, write_table
from lab.reproduce.fig7.plan import ARMS, METRIC, RATE, SCALES, best_rates, sized, tuning_table
from lab.runs import Run
from lab.runs.names import reference_lines
from lab.stats.bootstrap import mean_with_interval
from lab.stats.configurations import Rule, comparison_table, run_values

CHOSEN_BY = "rate chosen by"
COMPARED: tuple[tuple[str, Rule], ...] = (
    (METRIC, "best"),
    (METRIC, "last"),
    ("loss/second_again/1", "last"),
    ("loss/all/1", "last"),
)
"""Metrics and rules that the page compares: the paper's, the same without its choice on the test split, and two losses."""


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figures, numbers and page from finished runs.

    Args:
        scale: One of `SCALES`.
        finished: Runs of each stage.
        out: Folder for `fig7.png` and `emergence.png`, their numbers as CSV, `frame.csv.gz`, `report.md` and
            `rates.csv`, the tuning (if there was one).
    """
    runs, tuned = finished[-1], finished[0] if len(finished) > 1 else ()
    chances = tuning_table(tuned) if tuned else None
    only = dict.fromkeys(SCALES[scale].sizes, SCALES[scale].rates[0])
    rates = dict.fromkeys(ARMS, only) if chances is None else best_rates(scale, chances)
    named = sized(runs)
    named = named[named["metric"].str.match(r"(accuracy|loss)/(second_again|first_again|second_new|word|all)/\d")]
    of_rate = by_rates(named, rates)
    with plots.style():
        files = [
            *_figure(of_rate, reference_lines(runs[0].experiment, METRIC), out / "fig7.png"),
            *_curves(of_rate[1], out / "emergence.png", tuned=bool(tuned)),
        ]
    sections = sections_of(of_rate, None if tuned else SCALES[scale].rates[0])
    if chances is not None:
        files.append(write_table(chances, out / "rates.csv"))
        sections += [*own_rate_sections(of_rate, rates), *tuning_sections(chances, rates)]
    if SCALES[scale].expectation:
        sections.insert(0, Section("Expectation, written before the runs", SCALES[scale].expectation))
    page = write_page(out / "report.md", "Induction by size (Fig 7)", sections, [run for each in finished for run in each])
    return [*files, write_frame(named, out), page]


def sections_of(of_rate: Mapping[int, pd.DataFrame], only: float | None = None) -> list[Section]:
    """Return the sections that follow from the frames alone.

    Args:
        of_rate: The frame for each n that chose the rates.
        only: The rate of all runs, if none was chosen.
    """
    sections = [Section("In one line", "\n".join(f"- {line}" for line in findings(of_rate, only)))]
    for n, table in of_rate.items():
        tuning = f"rate tuned with n = {n}" if only is None else f"rate {only:g}"
        title = f"Accuracy on second tokens of names met again, best epoch, {tuning}"
        sections.append(Section(title, table=_summary(table)))
    for metric, rule in COMPARED:
        title = f"n = 2 against n = 1: `{metric}`, {rule} evaluation"
        sections.append(Section(title, table=against_one(of_rate, metric, rule)))
        over_sizes = against_one_over_sizes(of_rate, metric, rule)
        sections.append(Section(text="Means of each seed over all sizes:", table=over_sizes))
    return [*sections, Section("Cost of n = 2 at equal tokens", table=cost_table(of_rate[1]))]


def own_rate_sections(of_rate: Mapping[int, pd.DataFrame], rates: Mapping[int, Mapping[str, float]]) -> list[Section]:
    """Return the sections that compare two heads with one, each at the rate that it chose, by size and over all sizes.

    Args:
        of_rate: The frame for each n that chose the rates.
        rates: The rate that each n chose, by size.
    """
    frames = [of_rate.get(n, of_rate[ARMS[0]]) for n in ARMS]
    chosen = pd.concat([table[table["n_future"] == n] for n, table in zip(ARMS, frames, strict=True)])
    values = run_values(chosen, METRIC, "best")
    table = comparison_table(values, within=["size"])
    for place, n in enumerate(ARMS, start=1):
        table.insert(place, f"rate, n = {n}", [f"{rates[n][str(size)]:g}" for size in table["size"]])
    costs = cost_table(chosen).set_index("size")["FLOPs"]
    table = table.drop(columns="n_future").assign(**{"FLOPs, n = 2 / n = 1": table["size"].map(costs)})
    return [
        Section("n = 2 against n = 1, each at its own best rate, best epoch", table=table),
        Section(text="Means of each seed over all sizes:", table=comparison_table(_seed_means(values))),
    ]


def tuning_sections(chances: pd.DataFrame, rates: Mapping[int, Mapping[str, float]]) -> list[Section]:
    """Return the sections that follow from the tuning runs.

    Args:
        chances: From `tuning_table`.
        rates: The rate that each n chose, by size.
    """
    return [
        Section("Choice of the rate (best epoch on validation, seeds of its own)", table=_choice(chances, rates)),
        Section("n = 2 minus n = 1 at each rate, on the tuning seeds", table=tuning_differences(chances)),
    ]


def tuning_differences(chances: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of n = 2 minus that of n = 1 at each size and rate; the seeds are too few for a finding.

    Args:
        chances: From `tuning_table`.
    """
    wide = chances.pivot_table(index=["size", RATE], columns="n_future", values="mean", observed=True, sort=False)
    differences: pd.DataFrame = (wide[2] - wide[1]).unstack(RATE)
    return differences.set_axis([f"{float(rate):g}" for rate in differences.columns], axis="columns").reset_index()


def cost_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return FLOPs and wall time of a run with n = 2 as a share of one with n = 1, at equal tokens.

    Returns:
        One row for each size: `size`, `FLOPs`, `seconds` (ratios of means over seeds; wall time includes evaluation).
    """
    ends = table[table["step"] == table["step"].max()].drop_duplicates("run")
    means = ends.groupby(["size", "n_future"], observed=True)[["flops", "seconds"]].mean()
    ratios = means.xs(2, level="n_future") / means.xs(1, level="n_future")
    shown: pd.DataFrame = ratios.map("{:.2f}".format).rename(columns={"flops": "FLOPs"}).reset_index()
    return shown


def against_one(of_rate: Mapping[int, pd.DataFrame], metric: str, rule: Rule) -> pd.DataFrame:
    """Compare two heads with one at every size and every rate that some n chose there, paired over seeds.

    Runs that both n chose are one comparison: p-values are corrected over all different ones together.
    """
    values = run_values(pd.concat(of_rate.values()).drop_duplicates(), metric, rule).astype({"size": "str"})
    order = list(next(iter(of_rate.values()))["size"].cat.categories)
    within = ["size", RATE] if RATE in values.columns else ["size"]
    table = comparison_table(values, within=within).sort_values(
        within, key=lambda keys: keys.map(order.index) if keys.name == "size" else keys
    )
    if RATE in values.columns:
        own = {n: set(zip(part["size"].astype(str), part[RATE], strict=True)) for n, part in of_rate.items()}
        configurations = zip(table["size"], table[RATE], strict=True)
        table.insert(2, CHOSEN_BY, [" and ".join(f"n = {n}" for n in own if each in own[n]) for each in configurations])
    return table


def against_one_over_sizes(of_rate: Mapping[int, pd.DataFrame], metric: str, rule: Rule) -> pd.DataFrame:
    """Compare two heads with one by each seed's mean over sizes, at the rates that each n chose, with the power of all runs."""
    means = [_seed_means(run_values(table, metric, rule)).assign(**{CHOSEN_BY: f"n = {n}"}) for n, table in of_rate.items()]
    return comparison_table(pd.concat(means), within=[CHOSEN_BY])


def _seed_means(values: pd.DataFrame) -> pd.DataFrame:
    """Return the mean value over sizes of each n and seed."""
    return values.groupby(["n_future", "seed"])["value"].mean().reset_index()


def findings(of_rate: Mapping[int, pd.DataFrame], only: float | None = None) -> list[str]:
    """Return a sentence for each n that chose the rates: where n = 2 copies better, where worse, and over all sizes.

    Args:
        of_rate: The frame for each n that chose the rates.
        only: The rate of all runs, if none was chosen.
    """
    lines = []
    every = against_one_over_sizes(of_rate, METRIC, "best").to_dict("records")
    rows = against_one(of_rate, METRIC, "best").to_dict("records")
    for tuner, overall in zip(of_rate, every, strict=True):
        sizes = [row for row in rows if f"n = {tuner}" in row.get(CHOSEN_BY, f"n = {tuner}")]
        parts = []
        for word, sign in (("better", 1), ("worse", -1)):
            found = [row for row in sizes if row["found"] and row["difference"] * sign > 0]
            if found:
                parts.append(f"{word} at " + ", ".join(f"{row['size']} ({row['difference']:+.3f})" for row in found))
        what = "; ".join(parts) or "not reliably different from n = 1 at any size"
        interval = "" if math.isnan(overall["low"]) else f" [{overall['low']:+.3f}, {overall['high']:+.3f}]"
        mean = f"{overall['difference']:+.3f}{interval}, p_holm = {overall['p_holm']:.2g}"
        rate = f"the rate that is best for n = {tuner}" if only is None else f"a rate of {only:g}, which was not tuned"
        lines.append(f"At {rate}, n = 2 is {what}; over all sizes {mean}.")
    return lines


def by_rates(named: pd.DataFrame, rates: Mapping[int, Mapping[str, float]]) -> dict[int, pd.DataFrame]:
    """Return the rows of the runs with the rates that each n chose; one n suffices where both chose the same for every size."""
    tuners = list(ARMS) if rates[1] != rates[2] else [1]
    if RATE not in named.columns:
        return dict.fromkeys(tuners, named)
    return {tuner: named[named[RATE] == named["size"].astype(str).map(rates[tuner])] for tuner in tuners}


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and single values for each size and n."""
    values = run_values(table, METRIC, "best")
    rows = []
    for (size, n), part in values.groupby(["size", "n_future"], sort=True):
        rows.append(
            {
                "size": size,
                "n": n,
                "non-embedding parameters": f"{part['parameters'].iloc[0]:,}",
                **({"rate": f"{part[RATE].iloc[0]:g}"} if RATE in part else {}),
                "mean": mean_with_interval(part["value"].tolist()),
                "each seed": " ".join(f"{value:.2f}" for value in part.sort_values("seed")["value"]),
            }
        )
    return pd.DataFrame(rows)


def _choice(chances: pd.DataFrame, rates: Mapping[int, Mapping[str, float]]) -> pd.DataFrame:
    """Return one row for each size and n: the accuracy with every rate, and the chosen rate."""
    wide = chances.set_index(["size", "n_future", RATE])["mean"].unstack()
    tried = [float(rate) for rate in wide.columns]
    chosen = [rates[n][str(size)] for size, n in wide.index]
    labels = [f"{rate:g}" + (" (an end of the range)" if rate in (min(tried), max(tried)) else "") for rate in chosen]
    shown = wide.astype(object).where(wide.notna(), "diverged").set_axis([f"{rate:g}" for rate in tried], axis="columns")
    return shown.assign(chosen=labels).reset_index()


def _figure(of_rate: Mapping[int, pd.DataFrame], lines: Mapping[str, float], path: Path) -> list[Path]:
    """Write the figure, with a panel for each n that chose the rates, and its numbers."""
    figure = Figure(figsize=(1.4 + 3.2 * len(of_rate), 3.1), layout="constrained")
    panels = figure.subplots(1, len(of_rate), sharey=True, squeeze=False)[0]
    numbers = []
    for axes, (tuner, table) in zip(panels, of_rate.items(), strict=True):
        _, drawn = plots.size(table, METRIC, by=["n_future"], rule="best", lines=lines, axes=axes)
        if len(of_rate) > 1:
            axes.set_title(f"rate tuned with n = {tuner}\n{axes.get_title(loc='left')}", loc="left", fontsize=7.5)
        if axes is not panels[0]:
            axes.set_ylabel("")
        numbers.append(drawn.assign(tuned_with=tuner))
    return save(figure, pd.concat(numbers, ignore_index=True), path)


def _curves(table: pd.DataFrame, path: Path, *, tuned: bool) -> list[Path]:
    """Write the metric against tokens seen at the rates that n = 1 chose, with a panel for each size, and its numbers."""
    sizes = list(table["size"].cat.categories)
    figure = Figure(figsize=(2.3 * len(sizes), 2.8), layout="constrained")
    numbers = []
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=True):
        _, drawn = plots.emergence(table[table["size"] == size], METRIC, by=["n_future"], axes=axes)
        note = axes.get_title(loc="left") if axes is panels[0] else ""
        axes.set_title(f"{size}{', rate tuned with n = 1' if tuned else ''}\n{note}", loc="left", fontsize=7.5)
        if axes is not panels[0]:
            axes.set_ylabel("")
            axes.get_legend().remove()
        numbers.append(drawn.assign(size=size))
    return save(figure, pd.concat(numbers, ignore_index=True), path)
