"""The report of the study: one figure, and for each task tables at equal tokens and at equal FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, write_frame
from lab.reproduce.objectives.conditions import BENCHES, SCALES, SUM, conditions_of
from lab.reproduce.objectives.figure import draw
from lab.reproduce.objectives.plan import CONDITION, RATE, best_rates, named_frame, rate_values
from lab.runs import Run
from lab.stats.bootstrap import mean_beside_share, share_with_interval
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import emergence_table
from lab.stats.paired import holm
from lab.stats.times import compare_emergence, each_time


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figure, frames and page from the finished runs of each task's two stages, and return their paths."""
    tasks = SCALES[scale]
    tuned, runs = dict(zip(tasks, finished[::2], strict=True)), dict(zip(tasks, finished[1::2], strict=True))
    rates = pd.concat([rate_values(task, tuned[task]).assign(task=task) for task in tasks], ignore_index=True)
    rates.to_csv(out / "rates.csv", index=False)
    columns = ["task", CONDITION, "cost", "run", "seed", "state", "reached", "step", "tokens", "metric", "value"]
    frames = [named_frame(task, runs[task]).assign(task=task).reindex(columns=columns) for task in tasks]
    frame = pd.concat(frames, ignore_index=True)
    rates = pd.read_csv(out / "rates.csv")
    with plots.style():
        files = save(*draw(frame), out / "objectives.png")
    title = f"Objectives on {', '.join(tasks)}: which ingredient does the work?"
    page = write_page(out / PAGE, title, sections_of(frame, rates), [*chain(*finished)])
    return [out / "rates.csv", *files, write_frame(frame, out), page]


def sections_of(frame: pd.DataFrame, rates: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame and the tuning runs."""
    sections = []
    for task in dict.fromkeys(frame["task"]):
        own, tuned = frame[frame["task"] == task], rates[rates["task"] == task]
        label, escaped = BENCHES[task].label, BENCHES[task].escaped
        past = f"{label} past {escaped:g}, twice in a row"
        sections += [
            Section(f"{task}: expectation, written before the runs", BENCHES[task].expectation),
            Section(f"{task}: runs, and the rate of each condition", table=run_table(own, tuned)),
            Section(f"{task}: escape at equal tokens, against {SUM} ({past})", table=escape_table(own, at_equal="tokens")),
            Section(f"{task}: escape at equal FLOPs, against {SUM}", table=escape_table(own, at_equal="FLOPs")),
            Section(f"{task}: {label} at the end, against {SUM}", table=end_table(own)),
            Section(f"{task}: the choice of the rate", table=rate_table(tuned)),
        ]
    return sections


def run_table(own: pd.DataFrame, tuned: pd.DataFrame) -> pd.DataFrame:
    """Return for each condition of a task its rate and cost, how many runs escaped and solved, and the accuracy at the end."""
    task, metric = own["task"].iloc[0], own["metric"].iloc[0]
    bench, chosen = BENCHES[task], best_rates(tuned)
    thresholds = {"escaped": bench.escaped} | ({} if bench.solved is None else {"solved": bench.solved})
    times = emergence_table(own, metric, thresholds=thresholds, by=[CONDITION])
    ends = run_values(own, metric)
    rows = []
    for name in conditions_of(task):
        part, values = times[times[CONDITION] == name], ends[ends[CONDITION] == name]
        escaped = part["escaped_observed"].astype(bool).tolist()
        row = {"condition": name, "peak rate": f"{chosen[name]:g}", "FLOPs of a step": f"{values['cost'].iloc[0]:.2f}"}
        row["escaped"] = share_with_interval(escaped)
        if bench.solved is not None:
            row["solved"] = share_with_interval(part["solved_observed"].astype(bool).tolist())
        row["accuracy at the end"] = mean_beside_share(values["value"].tolist(), escaped)
        rows.append(row | {"M tokens until the escape, each seed": each_time(part, "escaped")})
    return pd.DataFrame(rows)


def escape_table(own: pd.DataFrame, at_equal: str) -> pd.DataFrame:
    """Compare the escape of each condition of a task with the sum's over pairs of seeds, in tokens or in FLOPs.

    FLOPs are counted in tokens of next-token training of the same cost.
    """
    scaled = own.assign(tokens=own["tokens"] * own["cost"]) if at_equal == "FLOPs" else own
    metric, bench = own["metric"].iloc[0], BENCHES[own["task"].iloc[0]]
    times = emergence_table(scaled, metric, thresholds={"escaped": bench.escaped}, by=[CONDITION])
    names = [name for name in conditions_of(own["task"].iloc[0]) if name != SUM]
    compared = [compare_emergence(times, SUM, name, "escaped", CONDITION) for name in names]
    corrected = holm([each.p_value for each in compared])
    return pd.DataFrame(
        {
            "condition": name,
            "escaped": f"{each.n - each.never_b} of {each.n}",
            f"later than {SUM}": "-" if each.neither == each.n else f"{100 * each.difference:+.0f} %",
            "90 % interval": "-" if each.neither == each.n else f"{100 * each.low:+.0f} to {100 * each.high:+.0f} %",
            "p": f"{each.p_value:.2g}",
            "p_holm": f"{p:.2g}",
        }
        for name, each, p in zip(names, compared, corrected, strict=True)
    )


def end_table(own: pd.DataFrame) -> pd.DataFrame:
    """Compare the accuracy of each condition of a task at the end with the sum's over pairs of seeds."""
    ends = run_values(own, own["metric"].iloc[0])
    return comparison_table(ends, CONDITION, SUM)


def rate_table(tuned: pd.DataFrame) -> pd.DataFrame:
    """Return the time and the accuracy at the end of each tuning run of a task, by condition and rate."""
    rows = []
    for (name, rate), part in tuned.groupby([CONDITION, RATE], sort=False):
        times, values = part["time"] / 1e6, part["value"]
        each = [f"{time:.2f} ({value:.2f})" for time, value in zip(times, values, strict=True)]
        rows.append({"condition": name, "peak rate": f"{rate:g}", "M tokens (accuracy), each seed": ", ".join(each)})
    return pd.DataFrame(rows)
