"""Does one prediction head need more tokens than two on agreement at any learning rate, or at one rate alone?

results/agreement compares one and two heads at one rate that was chosen for one head. Here both have five rates, and enough
tokens for one head to escape. The times compared are those at each one's own best rate, which for every seed the other seeds
choose: a rate that is best by luck on a seed gains nothing there.

    lab reproduce rates      80 runs, about two hours on two cores and with a C++ compiler
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, Stage, Study, fixed_stage, write_frame
from lab.runs import Run, frame
from lab.stats.bootstrap import LEVEL, expanded_percentile, resample
from lab.stats.emergence import emergence_table
from lab.stats.paired import sign_flip
from lab.stats.times import describe_time, each_time, time_table
from lab.sweeping.spec.files import from_mapping

EXPECTATION = """\
At its own best rate, one head needs at least three times as many tokens as two heads at theirs to escape the plateau \
(accuracy on the case past 0.6, twice in a row), and the 90 % interval of the ratio lies above 2.
Two heads escape in 8 of 8 seeds at 1e-3, 2e-3 and 4e-3; one head in at least 6 of 8 within 10 M tokens at its best rate, \
which is 1e-3 or 2e-3.
The expectation comes from results/agreement (rate 1e-3: 3.8 to 5.3 M tokens against at most 1.0) and from runs of \
results/reach (rate 2e-3: two heads at 0.4 M, one head not within 1.4 M)."""
METRIC = "accuracy/case_first/1"
ESCAPED, SOLVED = 0.6, 0.9
RATE, HEADS = "optimiser.peak_lr", "n_future"
RATES = (3e-4, 1e-3, 2e-3, 4e-3, 8e-3)
SEEDS = range(590, 598)
SCALES: Mapping[str, Mapping[str, Any]] = {
    "laptop": {
        "model.width": 64,
        "model.layers": 4,
        "batch_size": 128,
        "steps": 6600,
        "evaluation.every": 50,
        "evaluation.examples": 256,
        "evaluation.split": "test",
        "evaluation.stop.metric": METRIC,
        "evaluation.stop.threshold": SOLVED,
        "evaluation.measures.induction": 0,
        "compile": "default",
    }
}
"""At equal parameters, as in results/agreement: the next-token path of two heads is one layer shorter."""


class Ratio(NamedTuple):
    """How many times as many tokens one head needs as two, each at the rate that the other seeds choose.

    Attributes:
        ratio: Of geometric means over seeds; a run that does not escape counts with its end.
        low: Lower end of the 90 % bootstrap interval over seeds.
        high: Upper end.
        p_value: Of the exact sign-flip test of the logarithms.
        censored: Runs of one head, and of two, that do not escape.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    censored: tuple[int, int]


def stages(scale: str) -> list[Stage]:
    """Return the one stage: both numbers of heads at every rate."""
    described = {
        "name": f"rates-{scale}",
        "base": {"task": "agreement", **SCALES[scale]},
        "grid": {HEADS: [2, 1], RATE: list(RATES)},
        "seeds": [*SEEDS],
        "metrics": {METRIC: "maximise"},
    }
    return [fixed_stage(from_mapping(described))]


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write the figure, the frame and the page from the finished runs, and return their paths."""
    (runs,) = finished
    rows = frame(runs)
    columns = ["run", "task", "seed", "state", "reached", HEADS, RATE, "step", "tokens", "metric", "value"]
    rows = rows[rows["metric"] == METRIC].reindex(columns=columns)
    words = {RATE: "peak learning rate", HEADS: "n, prediction heads"}
    with plots.style():
        figure, numbers = plots.times(rows, METRIC, threshold=ESCAPED, by=[HEADS, RATE], labels=words)
    files = save(figure, numbers, out / "times.png")
    page = write_page(out / PAGE, f"Rate and number of heads at {scale} scale", sections_of(rows), runs)
    return [*files, write_frame(rows, out), page]


def sections_of(rows: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame."""
    times = emergence_table(rows, METRIC, thresholds={"escaped": ESCAPED}, by=[HEADS, RATE])
    found, pairs = compare(times), times["seed"].nunique()
    text = (
        f"One head needs {found.ratio:.1f} times as many tokens as two (90 % interval {found.low:.1f} to {found.high:.1f}, "
        f"p = {found.p_value:.2g}, {pairs} pairs of seeds; of the runs at these rates {found.censored[0]} of one head and "
        f"{found.censored[1]} of two do not escape and count with their end). For every seed the other seeds choose the rate."
    )
    return [
        Section("Expectation, written before the runs", EXPECTATION),
        Section("Each at its own best rate", text, table=choice_table(times)),
        Section("Escape by number of heads and rate", table=rate_table(times)),
    ]


def chosen(times: pd.DataFrame, heads: int) -> pd.DataFrame:
    """Return for each seed the run of so many heads at the rate that is best over the other seeds, by seed.

    The best rate has the least geometric mean of times; a run that does not escape counts with its end.
    """
    own = times[times[HEADS] == heads]
    logs = own.assign(log=np.log(own["escaped"])).pivot_table(index="seed", columns=RATE, values="log")
    others = (logs.sum() - logs) / (len(logs) - 1)
    best = others.idxmin(axis=1).rename(RATE).reset_index()
    return best.merge(own, on=["seed", RATE]).sort_values("seed")


def compare(times: pd.DataFrame) -> Ratio:
    """Compare the times of one and of two heads, each at its own best rate, over pairs of seeds."""
    one, two = (chosen(times, heads) for heads in (1, 2))
    differences = np.log(one["escaped"].to_numpy()) - np.log(two["escaped"].to_numpy())
    means = resample(len(differences)) @ differences
    low, high = (float(np.exp(end)) for end in expanded_percentile(means, LEVEL, len(differences)))
    never = int((~one["escaped_observed"].astype(bool)).sum()), int((~two["escaped_observed"].astype(bool)).sum())
    return Ratio(float(np.exp(differences.mean())), low, high, sign_flip(differences)[0], never)


def choice_table(times: pd.DataFrame) -> pd.DataFrame:
    """Return the rates that the other seeds choose and the times at them, by number of heads."""
    rows = []
    for heads in (1, 2):
        own = chosen(times, heads)
        rows.append(
            {
                "n": heads,
                "rate of each seed": " ".join(f"{rate:g}" for rate in own[RATE]),
                "M tokens, each seed": each_time(own, "escaped"),
            }
        )
    return pd.DataFrame(rows)


def rate_table(times: pd.DataFrame) -> pd.DataFrame:
    """Return how many runs escaped, and the median time, by number of heads and rate."""
    return pd.DataFrame(
        {
            "n": int(row[HEADS]),
            "peak rate": f"{row[RATE]:g}",
            **describe_time(row),
        }
        for row in time_table(times, "escaped", [HEADS, RATE]).to_dict("records")
    )


STUDY = Study(SCALES, stages, report)
