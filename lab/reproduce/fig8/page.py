"""The report of Fig 8: one figure, and paired comparisons in domain and out of domain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, write_frame, write_table
from lab.reproduce.atlas.plan import CONDITION, ONE
from lab.reproduce.fig8.figure import draw
from lab.reproduce.fig8.plan import RATE, SCALES, best_rates, named_frame, rate_values, stage_names
from lab.runs import Run
from lab.stats.bootstrap import mean_with_interval
from lab.stats.conditions import finished
from lab.stats.configurations import comparison_table, describe_value
from lab.stats.inspected import at_last_step

GROUP = ["size", "pause", CONDITION]
QUESTION = """\
Do further prediction heads help a model to evaluate expressions of polynomials, and to go on to longer ones than those of its \
training?
An answer counts if all its coefficients are right by greedy decoding of prediction head 1.
Accuracies in domain and out of domain are means over the numbers of operations m, each with equal weight."""
LIMITS = """\
- Equal parameters, as in the paper, are the headline: all layers together are as many for every n, so that the next-token \
path of n heads is n - 1 layers shorter. At equal depth it is as long, and further heads come on top.
- Equal tokens and equal steps, not equal FLOPs; the costs are in the table.
- Few expressions of one operation are held out, so that the accuracy at m = 1 rests on the number of different ones that the \
table shows; the intervals do not cover the choice of expressions."""
TUNED = """\
- The rate of each n was chosen by the accuracy in domain on validation, on seeds of its own, at equal parameters and without \
pause tokens, separately at each model size; the runs at equal depth and with pause tokens have the same rate.
- The larger model is wider and as deep; the paper's is deeper as well."""


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figure, frames and page from the finished runs of each stage, and return their paths."""
    chosen, runs = SCALES[scale], dict(zip(stage_names(scale), finished, strict=True))
    tuned = {name.removeprefix("rates-"): own for name, own in runs.items() if name not in chosen.parts}
    frame = pd.concat([named_frame(chosen, part, runs[part]) for part in chosen.parts], ignore_index=True)
    files, rates = [write_frame(frame, out)], None
    if tuned:
        values = [rate_values(own).assign(size=size) for size, own in tuned.items()]
        files.append(write_table(pd.concat(values, ignore_index=True), out / "rates.csv"))
        rates = pd.read_csv(files[-1])
    with plots.style():
        files += save(*draw(ends_of(frame)), out / "accuracy.png")
    title = f"Fig 8 at {scale} scale: polynomials by number of operations"
    question, *sections = sections_of(frame, rates)
    expected = [Section("Expectation, written before the runs", chosen.expectation)] if chosen.expectation else []
    page = write_page(out / PAGE, title, [question, *expected, *sections], [*chain(*finished)])
    return [*files, page]


def sections_of(frame: pd.DataFrame, rates: pd.DataFrame | None) -> list[Section]:
    """Return the sections of the page, which follow from the frame and the tuning runs, if there are any."""
    ends = ends_of(frame)
    size, larger = [*dict.fromkeys(frame["size"]), None][:2]
    values = domain_values(ends)
    base = values[values["size"] == size]
    plain, paused = base[base["pause"] == 0], base[base["pause"] > 0]
    sections = [
        Section("Question", QUESTION),
        Section("Accuracy and cost of a step", table=accuracy_table(ends)),
        Section(f"Against {ONE}, without pause tokens", table=comparison_table(plain, CONDITION, ONE, ["domain"])),
        Section("By number of operations, without pause tokens", table=operations_table(ends[ends["size"] == size])),
    ]
    if len(paused):
        against = comparison_table(paused, CONDITION, ONE, ["pause", "domain"])
        sections.append(Section(f"Against {ONE}, with pause tokens", table=against))
        sections.append(Section("The gain with pause tokens against the gain without", table=gain_table(base)))
    if larger is not None:
        title = f"Against {ONE} with three times the parameters ({larger})"
        sections.append(Section(title, table=size_table(values[values["pause"] == 0], larger)))
    if rates is not None:
        sections.append(Section("The choice of the rate (accuracy in domain, validation)", table=rate_table(rates)))
    limits = LIMITS if rates is None else f"{LIMITS}\n{TUNED}"
    return [*sections, Section("What was fixed, and what the numbers do not cover", limits)]


def ends_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each finished run at its last evaluation point."""
    rows = finished(frame)
    return at_last_step(rows).reset_index(drop=True)


def domain_values(ends: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy of each run in domain and out of domain, each number of operations with equal weight.

    Returns:
        One row for each run and domain: `size`, `pause`, `condition`, `run`, `seed`, `domain`, `value`.
    """
    domain = ends["in_domain"].map({True: "in domain", False: "out of domain"})
    return ends.assign(domain=domain).groupby([*GROUP, "run", "seed", "domain"])["value"].mean().reset_index()


def accuracy_table(ends: pd.DataFrame) -> pd.DataFrame:
    """Return for each size, number of pauses and condition the cost of a step and the accuracy in each domain.

    Costs are relative to the first one's `n = 1`. The last rows are the accuracy of the commonest answer.
    """
    plain = ends.loc[ends[CONDITION] == ONE, "flops_per_step"].iloc[0]
    costs = ends.groupby(GROUP)["flops_per_step"].first() / plain
    rows: list[dict[str, Any]] = []
    for key, own in domain_values(ends).groupby(GROUP, sort=True):
        means = {str(domain): mean_with_interval(part["value"].tolist()) for domain, part in own.groupby("domain")}
        rows.append({**dict(zip(GROUP, key, strict=True)), "FLOPs of a step": f"{costs[key]:.2f}", **means})
    levels = ends.drop_duplicates(["pause", "m"]).assign(value=lambda each: each["majority"])
    for pause, own in domain_values(levels).groupby("pause"):
        means = {str(domain): f"{part['value'].mean():.3f}" for domain, part in own.groupby("domain")}
        rows.append({"size": "-", "pause": pause, CONDITION: "commonest answer", "FLOPs of a step": "-", **means})
    return pd.DataFrame(rows)


def operations_table(ends: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy of each condition without pause tokens at each number of operations."""
    own = ends[ends["pause"] == 0]
    means = own.pivot_table(index="m", columns=CONDITION, values="value").map("{:.3f}".format)
    about = own.groupby("m")[["in_domain", "expressions", "majority"]].first()
    table = pd.DataFrame(
        {
            "in training": about["in_domain"].map({True: "yes", False: "no"}),
            "different expressions": about["expressions"],
            "commonest answer": about["majority"].map("{:.3f}".format),
        }
    )
    return table.join(means).reset_index()


def gain_table(base: pd.DataFrame) -> pd.DataFrame:
    """Compare the gain over `n = 1` with pause tokens with that without, over pairs of seeds.

    Args:
        base: From `domain_values`, of one size.
    """
    wide = base.pivot_table(index=["pause", "domain", "seed"], columns=CONDITION, values="value")
    gains = wide.sub(wide[ONE], axis=0).drop(columns=ONE).melt(ignore_index=False).reset_index().dropna(subset="value")
    return comparison_table(gains, "pause", 0, [CONDITION, "domain"])


def size_table(values: pd.DataFrame, larger: str) -> pd.DataFrame:
    """Compare every model without pause tokens with the larger one with one head, at equal parameters."""
    kept = values[~values[CONDITION].str.endswith("depth")]
    models = kept.assign(model=kept["size"] + ", " + kept[CONDITION])
    models = models[["model", "domain", "run", "seed", "value"]]
    return comparison_table(models, "model", f"{larger}, {ONE}", ["domain"])


def rate_table(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of each tuning run by size, n and rate, and the rate chosen."""
    rows = []
    for (size, n), own in rates.groupby(["size", "n_future"]):
        row: dict[str, Any] = {"size": size, "n": n}
        for rate, part in own.groupby(RATE):
            row[f"{float(str(rate)):g}"] = " ".join(describe_value(value, ".3f") for value in part.sort_values("seed")["value"])
        rows.append(row | {"chosen": f"{best_rates(own)[int(str(n))]:g}"})
    return pd.DataFrame(rows)
