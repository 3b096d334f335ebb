"""Does a second prediction head help to leave a plateau that next-token training may never leave, and why?

Path-star graphs (Bachmann and Nagarajan 2024): the first step of the path can only be known by reading a whole arm backwards,
while every later step can be read off the edges. Next-token models may sit at chance on that step for ever. All settings were
fixed before any of these runs; the seeds are fresh.

    lab reproduce star --scale laptop      40 runs, about 90 minutes on two cores and with a C++ compiler
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab import plots
from lab.analysis.cells import comparison_table, run_values
from lab.analysis.emergence import emergence_table
from lab.analysis.statistics import mean_with_interval
from lab.analysis.survival import survival_comparisons
from lab.plots.save import save
from lab.reproduce.page import markdown_table, write_page
from lab.runs import Run
from lab.runs.frames import frame
from lab.sweeping import Sweep
from lab.sweeping.files import from_mapping

METRIC = "accuracy/turn/1"
LEFT, SOLVED = 0.6, 0.9
"""Accuracy on the first step, of which 0.5 is chance: when a run has left the plateau, and when it has solved the task."""
STONE, KNOWN = "accuracy/follow/2", 0.95
"""What head 2 says of the path's later steps: at the goal it must find the goal's predecessor, one look-up away, where head 1
must go all the way back to the first step. (A table of it was added after the runs had been seen.)"""

ARMS: dict[str, dict[str, Any]] = {
    "n = 1": {"n_future": 1},
    "n = 1, depth of n = 2": {"n_future": 1, "model.layers": 4},
    "n = 2": {"n_future": 2},
    "n = 2, detached": {"n_future": 2, "objective.detached": True},
    "n = 2, shuffled": {"n_future": 2, "objective.name": "shuffled"},
}
"""What is compared. The second arm has the next-token path of n = 2, one layer shorter; the fourth learns the second token by
a probe that sends nothing to the trunk; the fifth has the same work and gradient to the trunk without information."""

SCALES: dict[str, dict[str, Any]] = {
    "laptop": {
        "task.degree": 2,
        "task.arm": 4,
        "task.nodes": 12,
        "model.width": 64,
        "model.layers": 5,
        "optimiser.peak_lr": 2e-3,
        "steps": 12_000,
        "batch_size": 32,
        "evaluation.every": 250,
        "evaluation.induction_scores": False,
        "compile": "default",
    },
}
SEEDS = range(100, 108)


def sweeps(scale: str) -> list[Callable[[Sequence[Run]], Sweep]]:
    """The one sweep of a scale."""
    return [lambda _: sweep(scale)]


def sweep(scale: str) -> Sweep:
    """What is trained at a scale."""
    return from_mapping(
        {
            "name": f"star-{scale}",
            "base": {"task": "star", **SCALES[scale]},
            "grid": {"arm": {folder(arm): settings for arm, settings in ARMS.items()}},
            "seeds": list(SEEDS),
            "metrics": {METRIC: "maximise"},
        }
    )


def folder(arm: str) -> str:
    """An arm's name as a folder can have it."""
    return arm.replace(" = ", "").replace(",", "").replace(" ", "-")


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Figures, frame and page of what the runs show.

    Args:
        scale: Of `SCALES`.
        finished: Runs of each of the `sweeps`.
        out: Folder for `survival.png`, `emergence.png`, their numbers as CSV, `frame.csv` and `report.md`.
    """
    (runs,) = finished
    named = frame(runs)
    named = named[named["metric"].str.match(r"(accuracy|loss)/(turn|follow)/\d|exact")]
    named = named.assign(arm=[arm_of(run) for run in named["run"]]).drop(columns=["objective.name"], errors="ignore")
    order = [arm for arm in ARMS if arm in set(named["arm"])]
    named["arm"] = pd.Categorical(named["arm"], categories=order, ordered=True)
    times = emergence_table(named.astype({"arm": "str"}), METRIC, thresholds={"left": LEFT, "solved": SOLVED}, by=["arm"])
    ends = run_values(named, METRIC).astype({"arm": "str"})
    with plots.style():
        survival, curves = plots.survival(named, METRIC, threshold=LEFT, by=["arm"])
        emergence, bands = plots.emergence(named, METRIC, by=["arm"], lines={"chance": 0.5})
        files = [
            *save(survival, curves, out / "survival.png"),
            *save(emergence, bands, out / "emergence.png"),
        ]
    stones = emergence_table(named.astype({"arm": "str"}), STONE, thresholds={"known": KNOWN}, by=["arm"])
    page = write_page(
        out / "report.md",
        f"Star graphs at {scale} scale: who leaves the plateau?",
        {
            "Runs": markdown_table(summary(times, ends, order)),
            f"Leaving the plateau (accuracy on the first step past {LEFT:g}, twice in a row)": markdown_table(
                survival_comparisons(times.sort_values("arm", key=lambda arms: arms.map(order.index)), "left", arm="arm")
            ),
            "Accuracy on the first step at the end, against n = 1": markdown_table(
                comparison_table(ends, arm="arm", baseline="n = 1")
            ),
            f"Head 2 knows the goal's predecessor (`{STONE}` past {KNOWN:g}, twice in a row)": markdown_table(
                stone_summary(stones, order)
            ),
        },
        runs,
    )
    named.to_csv(out / "frame.csv", index=False)
    return [*files, out / "frame.csv", page]


def arm_of(run_name: str) -> str:
    """The arm that a run's name stands for."""
    return {folder(arm): arm for arm in ARMS}[run_name.rpartition("-seed")[0]]


def summary(times: pd.DataFrame, ends: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """One row for each arm: how many runs left the plateau and solved the task, and accuracy at the end."""
    rows = []
    for arm in order:
        part, last = times[times["arm"] == arm], ends[ends["arm"] == arm]["value"]
        rows.append(
            {
                "arm": arm,
                "runs": len(part),
                "left the plateau": int(part["left_observed"].sum()),
                "solved": int(part["solved_observed"].sum()),
                "accuracy at the end": mean_with_interval(last.tolist()),
                "each seed": " ".join(f"{value:.2f}" for value in last),
            }
        )
    return pd.DataFrame(rows)


def stone_summary(stones: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """One row for each arm with a second head: in how many runs it knew the stepping stone, and when."""
    rows = []
    for arm in order:
        part = stones[stones["arm"] == arm].sort_values("seed")
        if part.empty:
            continue
        seen = part["known_observed"].astype(bool)
        times = [f"{tokens / 1e6:.2f}" if known else "-" for tokens, known in zip(part["known"], seen, strict=True)]
        rows.append(
            {"arm": arm, "runs": len(part), "knew it": int(seen.sum()), "M tokens seen by then, each seed": " ".join(times)}
        )
    return pd.DataFrame(rows)
