"""The report of a study of a plateau: figures, tables and a page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, write_frame, write_table
from lab.reproduce.plateau.configuration import Plateau
from lab.reproduce.plateau.plan import condition_of, rate_table, rate_values
from lab.runs import Run, frame
from lab.stats.bootstrap import mean_beside_share, share_with_interval
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_comparisons
from lab.stats.times import each_time

COLUMN = "arm"
"""Column of the condition's name in frames, as in the published ones."""


def report(plateau: Plateau, scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figures, frame and page from finished runs.

    Args:
        plateau: The study.
        scale: One of its scales.
        finished: Runs of each stage.
        out: Folder for `survival.png`, `emergence.png`, their numbers as CSV, `frame.csv.gz`, `rates.csv` (if a rate was
            chosen), the measurements' files and `report.md`; a further family's name follows the names of its figures.

    Returns:
        The paths of all files.
    """
    *tuning, runs = finished
    named = frame(runs)
    named = named[named["metric"].str.match(plateau.metric_pattern)]
    named = named.assign(**{COLUMN: [condition_of(plateau, run) for run in named["run"]]})
    files = [file for family in plateau.families for file in write_figures(plateau, family, named, out)]
    tables = tables_of(plateau, named)
    of_condition = {name: [run for run in runs if condition_of(plateau, run.name) == name] for name in plateau.conditions}
    for each in plateau.measurements:
        measured = each.measure(of_condition)
        files.append(write_table(measured, out / each.file))
        tables[each.heading] = each.summarise(measured)
    for tuned in tuning:
        values = rate_values(plateau, tuned)
        files.append(write_table(values, out / "rates.csv"))
        tables[rate_heading(plateau)] = rate_table(values)
    sections = [Section(heading, table=table) for heading, table in tables.items()]
    page = write_page(out / PAGE, plateau.title.format(scale=scale), sections, [*chain(*finished)])
    return [*files, write_frame(named, out), page]


def write_figures(plateau: Plateau, family: str, named: pd.DataFrame, out: Path) -> list[Path]:
    """Write the survival and emergence curves of a family's conditions, and their numbers.

    Args:
        plateau: The study.
        family: One of its families.
        named: A frame with the condition in `COLUMN`.
        out: Folder for the files.

    Returns:
        The paths of all files.
    """
    names = list(plateau.families[family])
    part = named[named[COLUMN].isin(names)]
    ordered = part.assign(**{COLUMN: pd.Categorical(part[COLUMN], categories=pd.Index(names), ordered=True)})
    suffix = "".join(f"-{word}" for word in family.split())
    with plots.style():
        survival, curves = plots.survival(ordered, plateau.metric, threshold=plateau.escape_threshold, by=[COLUMN])
        emergence, bands = plots.emergence(ordered, plateau.metric, by=[COLUMN], lines=plateau.levels)
        return [
            *save(survival, curves, out / f"survival{suffix}.png"),
            *save(emergence, bands, out / f"emergence{suffix}.png"),
        ]


def tables_of(plateau: Plateau, named: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the page's tables that follow from a frame with the condition in `COLUMN`, by heading."""
    thresholds = {"escape": plateau.escape_threshold, "solution": plateau.solve_threshold}
    times = emergence_table(named, plateau.metric, thresholds=thresholds, by=[COLUMN])
    ends = run_values(named, plateau.metric)
    tables = {"Runs": _summarise_runs(times, ends, list(plateau.conditions))}
    for family, conditions in plateau.families.items():
        names, where = list(conditions), f", {family}" if family else ""
        own = times.set_index(COLUMN).loc[names].reset_index()
        escape = f"Escape from the plateau{where} ({plateau.label} past {plateau.escape_threshold:g}, twice in a row)"
        tables[escape] = survival_comparisons(own, "escape", COLUMN)
        end = f"{plateau.label.capitalize()} at the end{where}, against {names[0]}"
        compared = comparison_table(ends[ends[COLUMN].isin(names)], COLUMN, names[0])
        tables[end] = compared.rename(columns={COLUMN: "condition"})
    stones = emergence_table(named, plateau.stepping_stone, thresholds={"stone": plateau.stone_threshold}, by=[COLUMN])
    past = f"`{plateau.stepping_stone}` past {plateau.stone_threshold:g}, twice in a row"
    heading = f"Head 2 knows {plateau.stepping_stone_label} ({past})"
    return tables | {heading: _summarise_stones(stones, list(plateau.conditions))}


def rate_heading(plateau: Plateau) -> str:
    """Return the heading of the table of rates."""
    seeds = " and ".join(map(str, plateau.tuning_seeds))
    return f"The rate, which n = 1 chose alone on seeds {seeds} ({plateau.label} at the end)"


def _summarise_runs(times: pd.DataFrame, ends: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Return one row for each condition: how many runs escaped and solved the task, and their accuracy at the end.

    Where some runs escaped and some did not, accuracies have two peaks: the share is the finding, and the mean has no interval.
    """
    rows = []
    for condition in conditions:
        part, last = times[times[COLUMN] == condition], ends[ends[COLUMN] == condition]["value"]
        escaped = part["escape_observed"].tolist()
        rows.append(
            {
                "condition": condition,
                "escaped the plateau": share_with_interval(escaped),
                "solved": share_with_interval(part["solution_observed"].tolist()),
                "accuracy at the end": mean_beside_share(last.tolist(), escaped),
                "each seed": " ".join(f"{value:.2f}" for value in last),
            }
        )
    return pd.DataFrame(rows)


def _summarise_stones(stones: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Return one row for each condition with a second head: how many runs knew the stepping stone, and when."""
    rows = []
    for condition in conditions:
        part = stones[stones[COLUMN] == condition].sort_values("seed")
        if part.empty:
            continue
        observed = part["stone_observed"].astype(bool)
        rows.append(
            {
                "condition": condition,
                "runs": len(part),
                "knew it": int(observed.sum()),
                "M tokens seen by then, each seed": each_time(part, "stone"),
            }
        )
    return pd.DataFrame(rows)
