"""How far ahead must a model be asked, so that it learns to look something up? Dose and response on agreement.

With d random stems between the key and the case that it determines, prediction head d + 1 is the one that is asked for the case
at the key, where the look-up begins; head 1 is asked for it d positions later, where no token tells anything about it. If it is
the question asked at that position that teaches, models learn the case quickly if and only if n >= d + 1.

The next-token path has four layers at every n. The rate was tuned by the rule of `best_rate`, on seeds of its own.

    lab reproduce reach      16 runs that choose the rate, then 192: about three hours on one core
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, Stage, Study, fixed_stage, write_frame, write_table
from lab.runs import Run, frame
from lab.stats.bootstrap import share_with_interval
from lab.stats.emergence import emergence_table
from lab.stats.times import describe_time, each_time, time_table
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

EXPECTATION = """\
A model escapes the plateau (accuracy on the case past 0.6, twice in a row) within 900 steps if and only if n >= d + 1: 8 of 8 \
seeds in each of the 14 combinations with n >= d + 1, and at most 1 of 8 in each of the 6 others.
With single heads left out, the question at the key decides.
At d = 2 heads 1 and 3 alone escape in 8 of 8 seeds, and heads 1 and 2 of the same network in at most 1.
At d = 3 heads 1 and 4 alone escape in 8 of 8 seeds, and heads 1 to 3 in at most 1.
The expectation comes from one or two runs of 13 combinations with another loop, which all agreed with it."""
METRIC = "accuracy/case_first/1"
ESCAPED, SOLVED = 0.6, 0.9
RATE, DISTANCE, HEADS, WEIGHTS = "optimiser.peak_lr", "task.distance", "n_future", "objective.weights"
COLUMNS = [
    *("run", "task", "stage", "seed", "state", "reached", DISTANCE, HEADS, "trained"),
    *("step", "tokens", "metric", "value"),
]
"""Columns of the frame."""
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
TUNING_SEEDS, SEEDS = (900, 901), range(540, 548)
TUNED: Mapping[str, Mapping[str, Any]] = {
    "one head, distance 0": {HEADS: 1, DISTANCE: 0},
    "five heads, distance 3": {HEADS: 5, DISTANCE: 3},
}
"""The combinations that choose the rate: the fewest heads and the most, each where it is asked for the case at the key."""
ALONE: Mapping[str, Mapping[str, Any]] = {
    "heads 1 and 3 of 3": {DISTANCE: 2, HEADS: 3, WEIGHTS: [1, 0, 1]},
    "heads 1 and 2 of 3": {DISTANCE: 2, HEADS: 3, WEIGHTS: [1, 1, 0]},
    "heads 1 and 4 of 4": {DISTANCE: 3, HEADS: 4, WEIGHTS: [1, 0, 0, 1]},
    "heads 1 to 3 of 4": {DISTANCE: 3, HEADS: 4, WEIGHTS: [1, 1, 1, 0]},
}
"""Networks of which some prediction heads are not trained."""
SCALES: Mapping[str, Mapping[str, Any]] = {
    "laptop": {
        "model.width": 64,
        "model.layers": 4,
        "model.matched": "layers",
        "batch_size": 128,
        "steps": 900,
        "evaluation.every": 25,
        "evaluation.examples": 256,
        "evaluation.stop.metric": METRIC,
        "evaluation.stop.threshold": SOLVED,
        "evaluation.measures.induction": 0,
    }
}


def sweep_of(name: str, scale: str, grid: Mapping[str, Any], seeds: Sequence[int], **settings: Any) -> Sweep:
    """Return a sweep of agreement with the settings of a scale."""
    base = {"task": "agreement", **SCALES[scale], **settings}
    described = {"name": f"reach-{scale}{name}", "base": base, "grid": grid, "seeds": [*seeds], "metrics": {METRIC: "maximise"}}
    return from_mapping(described)


def stages(scale: str) -> list[Stage]:
    """Return the stage that chooses the rate, the grid of distances and heads, and the networks with single heads left out."""
    tuning = sweep_of("-rates", scale, {"where": dict(TUNED), RATE: list(RATES)}, TUNING_SEEDS)
    chosen: dict[str, float] = {}

    def grid(rate: float) -> Sweep:
        varied = {DISTANCE: [0, 1, 2, 3], HEADS: [1, 2, 3, 4, 5]}
        return sweep_of("", scale, varied, SEEDS, **{RATE: rate, "evaluation.split": "test"})

    def alone(rate: float) -> Sweep:
        return sweep_of("-alone", scale, {"trained": dict(ALONE)}, SEEDS, **{RATE: rate, "evaluation.split": "test"})

    def plan_grid(tuned: Sequence[Run]) -> Sweep:
        chosen[RATE] = best_rate(rate_times(frame(tuned)))
        return grid(chosen[RATE])

    return [
        fixed_stage(tuning, tunes=True),
        Stage(grid(RATES[0]), plan_grid),
        Stage(alone(RATES[0]), lambda _: alone(chosen[RATE])),
    ]


def rate_times(tuned: pd.DataFrame) -> pd.DataFrame:
    """Return when each tuning run knew the case: the settings, `seed`, `solved` (tokens) and `solved_observed`.

    A run that never knows it has the tokens at its end, and one that diverged infinitely many.
    """
    times = emergence_table(tuned, METRIC, thresholds={"solved": SOLVED}, by=[HEADS, DISTANCE, RATE])
    diverged = times["run"].isin(tuned.loc[tuned["state"] == "diverged", "run"])
    return times.assign(solved=times["solved"].mask(diverged, np.inf)).drop(columns="run")


def best_rate(times: pd.DataFrame) -> float:
    """Return the rate with the least geometric mean of tokens until the case is known, over all tuning runs.

    A rate at which a run diverged is not the best.
    """
    means = np.log(times["solved"]).groupby(times[RATE]).mean()
    return float(str(means.idxmin()))


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write the figure, the frames and the page from the finished runs of the three stages, and return their paths."""
    tuned, grid, alone = (frame(runs) for runs in finished)
    files = [write_table(rate_times(tuned), out / "rates.csv")]
    rates = pd.read_csv(files[0])
    parts = [grid.assign(stage="grid"), alone.assign(stage="alone", trained=_trained(alone))]
    named = pd.concat([part[part["metric"] == METRIC] for part in parts], ignore_index=True).reindex(columns=COLUMNS)
    figure, numbers = draw(named)
    files += save(figure, numbers, out / "times.png")
    sections = sections_of(named, rates)
    title = f"Reach at {scale} scale: how many heads for which distance?"
    page = write_page(out / PAGE, title, sections, [*chain(*finished[1:])])
    return [*files, write_frame(named, out), page]


def draw(named: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """Draw the times of the grid, with the combinations that were expected to escape framed."""
    words = {DISTANCE: "d, random stems between key and case", HEADS: "n, prediction heads"}
    with plots.style():
        return plots.times(_grid(named), METRIC, threshold=ESCAPED, by=[DISTANCE, HEADS], expected=expected, labels=words)


def expected(distance: int, heads: int) -> bool:
    """Return whether a model is expected to escape: whether a head is asked for the case at the key."""
    return heads >= distance + 1


def sections_of(named: pd.DataFrame, rates: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame and the times of the tuning runs."""
    return [
        Section("Expectation, written before the runs", EXPECTATION),
        Section("Escape by distance and prediction heads", table=escapes(named)),
        Section("Networks of which some heads are not trained", table=alone_table(named)),
        Section("The rate: tokens until the case is known, each seed (a dash: not within the run)", table=rate_table(rates)),
    ]


def escapes(named: pd.DataFrame) -> pd.DataFrame:
    """Return how many runs escaped for each combination, the median time, and whether that was expected."""
    runs = emergence_table(_grid(named), METRIC, thresholds={"escaped": ESCAPED}, by=[DISTANCE, HEADS])
    return pd.DataFrame(
        {
            "d": int(row[DISTANCE]),
            "n": int(row[HEADS]),
            "asked at the key": "yes" if expected(row[DISTANCE], row[HEADS]) else "no",
            **describe_time(row),
        }
        for row in time_table(runs, "escaped", [DISTANCE, HEADS]).to_dict("records")
    )


def alone_table(named: pd.DataFrame) -> pd.DataFrame:
    """Return how many runs escaped of the networks in which some heads are not trained."""
    own = named[named["stage"] == "alone"]
    runs = emergence_table(own, METRIC, thresholds={"escaped": ESCAPED}, by=[DISTANCE, "trained"])
    found = []
    for (distance, trained), part in runs.groupby([DISTANCE, "trained"], sort=False):
        seen = part["escaped_observed"].astype(bool)
        row = {"d": int(str(distance)), "trained": trained, "escaped": share_with_interval(seen.tolist())}
        found.append(row | {"M tokens, each seed": each_time(part, "escaped")})
    return pd.DataFrame(found)


def rate_table(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the tokens until the case is known of each tuning run, by combination and rate."""
    found = []
    for (heads, distance, rate), part in rates.groupby([HEADS, DISTANCE, RATE]):
        found.append({"n": heads, "d": distance, "peak rate": rate, "M tokens, each seed": each_time(part, "solved")})
    return pd.DataFrame(found)


def _grid(named: pd.DataFrame) -> pd.DataFrame:
    return named[named["stage"] == "grid"].drop(columns=["trained", "stage"])


def _trained(alone: pd.DataFrame) -> list[str]:
    """Return the name in `ALONE` of each row's network."""
    names = {(each[DISTANCE], str(each[WEIGHTS])): name for name, each in ALONE.items()}
    return [names[distance, _plain(weights)] for distance, weights in zip(alone[DISTANCE], alone[WEIGHTS], strict=True)]


def _plain(weights: Any) -> str:
    """Return a list of weights as text, whole numbers without a point."""
    values = weights.strip("[]").split(",") if isinstance(weights, str) else weights
    return str([int(float(value)) for value in values])


STUDY = Study(SCALES, stages, report)
