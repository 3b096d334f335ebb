"""The report of the study: one figure, and for each task tables at equal tokens and at equal FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_joined_page, write_page
from lab.reports.section import Section
from lab.reproduce import FRAME, PAGE, read_parts, write_frame, write_table
from lab.reproduce.comparison.plan import CONDITION, condition_of
from lab.reproduce.comparison.tables import end_table, escape_table, run_table, times_of
from lab.reproduce.objectives.conditions import BENCHES, CONDITIONS, SCALES, SUM, family_of
from lab.reproduce.objectives.figure import draw
from lab.reproduce.objectives.plan import RATE, best_rates, named_frame, rate_values
from lab.runs import Run
from lab.runs import frame as frame_of
from lab.stats.bootstrap import share_with_interval
from lab.stats.configurations import describe_value
from lab.stats.emergence import emergence_table
from lab.stats.times import each_time

RATES, LOSSES = "rates.csv", "further_losses.csv"
"""Tables beside the frame: the tuning runs, and losses beside those of prediction heads."""


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figure, frames and page from the finished runs of each task's two stages, and return their paths."""
    tasks = SCALES[scale]
    tuned, runs = dict(zip(tasks, finished[::2], strict=True)), dict(zip(tasks, finished[1::2], strict=True))
    rates = pd.concat([rate_values(task, tuned[task]).assign(task=task) for task in tasks], ignore_index=True)
    columns = ["task", CONDITION, "cost", "run", "seed", "state", "reached", "step", "tokens", "metric", "value"]
    frames = [named_frame(task, runs[task]).assign(task=task).reindex(columns=columns) for task in tasks]
    frame = pd.concat(frames, ignore_index=True)
    losses = pd.concat([further_losses(task, runs[task]) for task in tasks])
    files = _write_tables(frame, rates, losses, out)
    sections = sections_of(frame, pd.read_csv(out / RATES))
    return [*files, write_page(out / PAGE, _title(frame), sections, [*chain(*finished)])]


def join(parts: Sequence[Path], out: Path) -> list[Path]:
    """Write figure, frames and page of the tasks whose reports are in folders, and return their paths."""
    frame, rates, losses = (read_parts(parts, "task", BENCHES, file) for file in (FRAME, RATES, LOSSES))
    out.mkdir(parents=True, exist_ok=True)
    files = _write_tables(frame, rates, losses, out)
    return [*files, write_joined_page(out / PAGE, _title(frame), sections_of(frame, rates), [part / PAGE for part in parts])]


def _title(frame: pd.DataFrame) -> str:
    return f"Objectives on {', '.join(frame['task'].unique())}: which ingredient does the work?"


def _write_tables(frame: pd.DataFrame, rates: pd.DataFrame, losses: pd.DataFrame, out: Path) -> list[Path]:
    """Write the figure and all tables that the page follows from."""
    files = [write_table(rates, out / RATES), write_table(losses, out / LOSSES)]
    with plots.style():
        files += save(*draw(frame), out / "objectives.png")
    return [*files, write_frame(frame, out)]


def further_losses(task: str, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the losses beside those of prediction heads at the end of each run, by `condition`, `metric` and `seed`."""
    rows = frame_of(runs)
    ends = rows[rows["metric"].str.startswith("train/extra/")].sort_values("step").groupby(["run", "metric"]).tail(1)
    named = ends.assign(task=task, condition=[condition_of(CONDITIONS, run) for run in ends["run"]])
    return named[["task", CONDITION, "seed", "metric", "value"]].sort_values([CONDITION, "metric", "seed"])


def sections_of(frame: pd.DataFrame, rates: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame and the tuning runs."""
    sections = []
    for task in dict.fromkeys(frame["task"]):
        own, tuned = frame[frame["task"] == task], rates[rates["task"] == task]
        family, label = family_of(task), BENCHES[task].label
        past = f"{label} past {family.escaped:g}, twice in a row"
        sections += [
            Section(f"{task}: expectation, written before the runs", BENCHES[task].expectation),
            Section(f"{task}: runs, and the rate of each condition", table=run_table(family, own, best_rates(tuned))),
            Section(f"{task}: escape at equal tokens, against {SUM} ({past})", table=escape_table(family, own, "tokens")),
            Section(f"{task}: escape at equal FLOPs, against {SUM}", table=escape_table(family, own, "FLOPs")),
            Section(f"{task}: {label} at the end, against {SUM}", table=end_table(family, own)),
            Section(f"{task}: the choice of the rate", table=rate_table(tuned)),
        ]
        if BENCHES[task].stepping_stone is not None:
            sections.append(stepping_stone_section(task, own))
    return sections


def stepping_stone_section(task: str, own: pd.DataFrame) -> Section:
    """Return the section on when head 2 of each condition that has one knows the stepping stone, beside head 1's escape."""
    bench, family = BENCHES[task], family_of(task)
    metric, words = bench.stepping_stone or ("", "")
    within = own.drop(columns="reached")  # a run that ended early does not know it within its length
    stones = emergence_table(within, metric, thresholds={"known": bench.escaped}, by=[CONDITION])
    escapes, rows = times_of(family, own), []
    for name in family.conditions:
        part = stones[stones[CONDITION] == name]
        if part.empty:
            continue
        escaped = escapes.loc[escapes[CONDITION] == name, "escaped_observed"].astype(bool)
        rows.append(
            {
                "condition": name,
                "head 2 knows it": share_with_interval(part["known_observed"].astype(bool).tolist()),
                "M tokens, each seed": each_time(part, "known"),
                "head 1 escapes": f"{escaped.sum()} of {len(escaped)}",
            }
        )
    text = f"`{metric}` past {bench.escaped:g}, twice in a row. This table was added after runs of the study had been seen."
    return Section(f"{task}: head 2 knows {words}", text, table=pd.DataFrame(rows))


def rate_table(tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the time and the accuracy at the end of each tuning run of a task, by condition and rate."""
    rows = []
    for (name, rate), part in tuned.groupby([CONDITION, RATE], sort=False):
        times, values = part["time"] / 1e6, part["value"]
        each = [f"{time:.2f} ({describe_value(value, '.2f')})" for time, value in zip(times, values, strict=True)]
        rows.append({"condition": name, "peak rate": f"{rate:g}", "M tokens (accuracy), each seed": ", ".join(each)})
    return pd.DataFrame(rows)
