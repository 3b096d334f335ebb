"""The report of a study of self-speculative decoding: figures, numbers and a page of tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.metrics import Metric
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, write_frame
from lab.reproduce.speculation.configuration import Speculation
from lab.reproduce.speculation.measure import measure
from lab.runs import Run, frame
from lab.stats.bootstrap import mean_with_interval

TIMES = """\
The first seed alone.
Head 1 alone has the same cache and the same prompts; both are timed in turn, with one thread, and the median of three rounds \
counts.
Other work on the machine makes these ratios less exact than the counts above."""
DRAFTS = """\
Greedy drafts: a draft fails where a further head, which does not know the tokens between, has another most probable token \
than head 1 has after reading them.
So acceptance is a statement about entropy: the further head's distribution is an average over these tokens, and its mode is \
head 1's choice only where they do not matter or are nearly certain.
Where the text branches, no head without them can follow, however well it is trained."""


def report(study: Speculation, scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figures, frame and page from finished runs.

    Args:
        study: The configuration.
        scale: One of its scales.
        finished: Runs of the only stage.
        out: Folder for `acceptance.png`, `speedup.png`, their numbers as CSV, `frame.csv.gz` and `report.md`.

    Returns:
        The paths of all files.
    """
    runs = [*chain(*finished)]
    losses = frame(runs)
    known = losses[(losses["step"] == losses["step"].max()) & losses["metric"].str.match(r"(loss|accuracy)/.*/1$")]
    known = known.assign(quantity="network", heads=1, batch=0)
    measured = pd.concat([known[["n_future", "seed", "quantity", "heads", "batch", "metric", "value"]], measure(study, runs)])
    files = write_figures(runs[0].experiment.task.name, measured, out)
    page = write_page(out / PAGE, study.title.format(scale=scale), sections_of(study, measured), runs)
    return [*files, write_frame(measured, out), page]


def write_figures(task: str, measured: pd.DataFrame, out: Path) -> list[Path]:
    """Write the figures of acceptance with all heads and of the speed-up, and their numbers."""
    named = measured.assign(task=task, step=1, tokens=1.0, nodes=measured["heads"] - 1, state="finished")
    named["run"] = [f"n{n}-seed{seed}" for n, seed in zip(named["n_future"], named["seed"], strict=True)]
    quantity = named.pop("quantity")
    drafts, times = named[quantity == "drafts"], named[quantity == "time"]
    counted = drafts[drafts["metric"] == "tokens_per_forward"].assign(batch=1)
    with plots.style():
        accepted, rates = plots.acceptance(drafts[drafts["heads"] == drafts["n_future"]])
        timed, ratios = plots.speedup(pd.concat([counted, times]))
        return [*save(accepted, rates, out / "acceptance.png"), *save(timed, ratios, out / "speedup.png")]


def sections_of(study: Speculation, measured: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame alone."""
    return [
        Section("Expectation, written before the runs", study.expectation),
        Section("Tokens per forward pass by heads used", table=heads_table(study, measured, "drafts", "tokens_per_forward")),
        Section(
            "Speed-up in wall time by heads used, one sequence at a time",
            TIMES,
            heads_table(study, measured, "time", "speedup"),
        ),
        Section("Speed-up in wall time by batch size, with all heads", table=batch_table(measured)),
        Section("Where drafts fail: acceptance rate given reached, with all heads", DRAFTS, role_table(measured)),
        Section("What the networks know of the test split (next-token head)", table=known_table(measured)),
        Section("Differences from head 1 alone", table=difference_table(measured)),
    ]


def heads_table(study: Speculation, measured: pd.DataFrame, quantity: str, metric: str) -> pd.DataFrame:
    """Return one row for each number of heads used: ours for each n, with each seed, and the paper's."""
    rows = measured[(measured["quantity"] == quantity) & (measured["metric"] == metric)]
    rows = rows[rows["batch"] == rows["batch"].min()]
    paper = {heads: columns.get(metric, {}) for heads, columns in study.paper.items()}
    found = []
    for heads, part in rows.groupby("heads"):
        row: dict[str, object] = {"heads used": heads}
        for n in sorted(rows["n_future"].unique()):
            values = part[part["n_future"] == n].sort_values("seed")["value"].tolist()
            row[f"n = {n}"] = mean_with_interval(values) if len(values) else "-"
            row[f"n = {n}, each seed"] = " ".join(f"{value:.2f}" for value in values) or "-"
        for column in dict.fromkeys(name for columns in paper.values() for name in columns):
            value = paper.get(int(str(heads)), {}).get(column)
            row[f"paper, {column}"] = "-" if value is None else f"{value:.2f}"
        found.append(row)
    return pd.DataFrame(found)


def batch_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the speed-up with all heads by n and batch size."""
    rows = measured[(measured["quantity"] == "time") & (measured["heads"] == measured["n_future"])]
    return _summary(rows, "n_future", "batch", "n")


def role_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the acceptance rate given reached, with all heads, by n, role and prediction head: means over seeds."""
    rows = measured[(measured["quantity"] == "drafts") & (measured["heads"] == measured["n_future"])]
    parsed = rows["metric"].map(Metric.parse)
    rows = rows.assign(
        name=[each.name for each in parsed], role=[each.role for each in parsed], head=[each.head for each in parsed]
    )
    rows = rows[rows["name"] == "acceptance_given_reached"].astype({"head": int})
    means = rows.pivot_table(index=["n_future", "role"], columns="head", values="value", sort=False)
    shown = means.map("{:.2f}".format, na_action="ignore")
    table: pd.DataFrame = shown.rename(columns=lambda head: f"head {head}").reset_index().rename(columns={"n_future": "n"})
    return table.fillna("-").rename_axis(columns=None)


def known_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Return loss and accuracy of head 1 at the end of training, by role and n."""
    return _summary(measured[measured["quantity"] == "network"], "metric", "n_future", "metric", "n = ")


def difference_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Return in how many sequences the output of any number of heads differs from head 1 alone, and the smallest gap."""
    rows = measured[(measured["quantity"] == "drafts") & (measured["heads"] > 1)]
    found = []
    for n, part in rows.groupby("n_future"):
        values = part.groupby("metric")["value"]
        differ, gap = values.get_group("differences"), values.get_group("smallest_gap")
        sequences = f"{differ.sum():.0f} of {int(part[part['metric'] == 'differences']['batch'].sum())}"
        found.append({"n": n, "sequences that differ": sequences, "smallest gap of the two best logits": f"{gap.min():.1g}"})
    return pd.DataFrame(found)


def _summary(rows: pd.DataFrame, index: str, columns: str, name: str, label: str = "") -> pd.DataFrame:
    """Return means with intervals over seeds by two columns."""
    cells = rows.groupby([index, columns], sort=False)["value"].agg(lambda values: mean_with_interval(values.tolist()))
    table: pd.DataFrame = cells.unstack(columns).fillna("-").rename(columns=lambda value: f"{label or columns + ' '}{value}")
    return table.reset_index().rename(columns={index: name}).rename_axis(columns=None)
