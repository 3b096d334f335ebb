"""Studies of one question: which arms leave a plateau, when, and why?

A study names an accuracy that stays on a plateau for long, and arms that differ in one thing each. What its runs show is told
by survival curves, log-rank and paired tests, and by how early a second prediction head has learnt the stepping stone: a token
that is easier to find than the one at which head 1 is stuck, and on the way to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from lab import plots
from lab.plots.save import save
from lab.reports.markdown import write_page
from lab.reports.section import Section
from lab.reproduce import write_frame
from lab.runs import Run, frame
from lab.stats.bootstrap import mean_beside_share, share_with_interval
from lab.stats.configurations import comparison_table, run_values, seed_table
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_comparisons
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

RATE = "optimiser.peak_lr"
Arms = Mapping[str, Mapping[str, Any]]
"""Settings of each arm, by what it is called; the first is what the others are compared with."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What is measured on the trained networks, beyond the metrics of their runs.

    Attributes:
        file: Name of the CSV that holds every number, beside the page.
        heading: Of the table on the page.
        measure: A tidy frame of the runs of each arm.
        summarise: The table that the page shows of that frame.
    """

    file: str
    heading: str
    measure: Callable[[Mapping[str, Sequence[Run]]], pd.DataFrame]
    summarise: Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A study of the conditions that escape a plateau.

    Attributes:
        name: Of the study; its sweeps are named after it.
        title: Of the page, with `{scale}` in it.
        scales: Settings that all arms share, by scale.
        seeds: Of each arm.
        families: Arms that are compared with one another, by what makes the family; `""` is the question itself.
        metric: The accuracy that stays on a plateau, in runs and in figures.
        label: The metric in words.
        levels: Levels to draw as lines.
        escape_threshold: Accuracy that counts as an escape at two evaluation points in a row.
        solve_threshold: Accuracy that has solved it.
        stepping_stone: Head 2's accuracy on the stepping stone.
        stepping_stone_label: The stepping stone in words.
        stone_threshold: Accuracy of head 2 that counts as knowing it.
        metric_pattern: Pattern of metrics that the frame keeps.
        rates: Peak learning rates to choose from, by how the first arm, n = 1, ends on validation; all arms have the chosen
            one and are measured on the test split. None: nothing is chosen.
        tuning_seeds: Of the runs that choose.
        measurements: What else is measured on the trained networks.
    """

    name: str
    title: str
    scales: Mapping[str, Mapping[str, Any]]
    seeds: range
    families: Mapping[str, Arms]
    metric: str
    label: str
    levels: Mapping[str, float]
    escape_threshold: float = 0.6
    solve_threshold: float = 0.9
    stepping_stone: str
    stepping_stone_label: str
    stone_threshold: float = 0.95
    metric_pattern: str
    rates: Sequence[float] = ()
    tuning_seeds: Sequence[int] = ()
    measurements: Sequence[Measurement] = ()

    @cached_property
    def arms(self) -> Arms:
        """Of all families."""
        return {arm: settings for arms in self.families.values() for arm, settings in arms.items()}

    def sweeps(self, scale: str) -> list[Callable[[Sequence[Run]], Sweep]]:
        """The sweep that chooses a rate, if there is a choice, and the one that the figures show."""
        if not self.rates:
            return [lambda _: self._sweep(scale, {})]
        return [
            lambda _: self._tuning_sweep(scale),
            lambda tuned: self._sweep(
                scale, {"evaluation.split": "test", RATE: self.best_rate(tuned) if tuned else self.rates[0]}
            ),
        ]

    def _tuning_sweep(self, scale: str) -> Sweep:
        """The first arm with every rate, on seeds of its own."""
        first, *_ = self.arms.values()
        return from_mapping(
            {
                "name": f"{self.name}-{scale}-rates",
                "base": {"task": self.name, **self.scales[scale], **first},
                "grid": {RATE: list(self.rates)},
                "seeds": list(self.tuning_seeds),
                "metrics": {self.metric: "maximise"},
            }
        )

    def _sweep(self, scale: str, chosen: Mapping[str, Any]) -> Sweep:
        """All arms with what was chosen for the first."""
        return from_mapping(
            {
                "name": f"{self.name}-{scale}",
                "base": {"task": self.name, **self.scales[scale], **chosen},
                "grid": {"arm": {folder(arm): dict(settings) for arm, settings in self.arms.items()}},
                "seeds": list(self.seeds),
                "metrics": {self.metric: "maximise"},
            }
        )

    def best_rate(self, tuned: Sequence[Run]) -> float:
        """The rate with which the first arm ended best, in the mean over the tuning seeds."""
        means = rate_table(self.rate_values(tuned))
        return float(means[RATE].iloc[int(means["mean"].argmax())])

    def rate_values(self, tuned: Sequence[Run]) -> pd.DataFrame:
        """Where each tuning run of the first arm ended: the rate, `seed`, `value`."""
        return run_values(frame(tuned), self.metric)[[RATE, "seed", "value"]]

    @property
    def rate_heading(self) -> str:
        """Heading of the table of rates."""
        seeds = " and ".join(map(str, self.tuning_seeds))
        return f"The rate, which n = 1 chose alone on seeds {seeds} ({self.label} at the end)"

    def arm_of(self, run_name: str) -> str:
        """The arm that a run's name stands for."""
        return {folder(arm): arm for arm in self.arms}[run_name.rpartition("-seed")[0]]

    def report(self, scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
        """Figures, frame and page of what the runs show.

        Args:
            scale: Of `scales`.
            finished: Runs of each of the `sweeps`.
            out: Folder for `survival.png`, `emergence.png`, their numbers as CSV, `frame.csv.gz`, `rates.csv` (if a rate was
                chosen), the measurements' files and `report.md`; figures of a further family have its name behind theirs.
        """
        *tuning, runs = finished
        named = frame(runs)
        named = named[named["metric"].str.match(self.metric_pattern)]
        named = named.assign(arm=[self.arm_of(run) for run in named["run"]])
        named = named.drop(columns=["objective.name", "task.order"], errors="ignore")
        files = [file for family in self.families for file in self.figures(family, named, out)]
        by_arm = {arm: [run for run in runs if self.arm_of(run.name) == arm] for arm in self.arms}
        tables = self.tables(named)
        for each in self.measurements:
            measured = each.measure(by_arm)
            files.append(_write_csv(measured, out / each.file))
            tables[each.heading] = each.summarise(measured)
        for tuned in tuning:
            values = self.rate_values(tuned)
            files.append(_write_csv(values, out / "rates.csv"))
            tables[self.rate_heading] = rate_table(values)
        sections = [Section(heading, table=table) for heading, table in tables.items()]
        page = write_page(out / "report.md", self.title.format(scale=scale), sections, [*chain(*finished)])
        return [*files, write_frame(named, out), page]

    def figures(self, family: str, named: pd.DataFrame, out: Path) -> list[Path]:
        """Survival and emergence of the arms of a family, from a frame with a column `arm`, and their numbers."""
        arms = list(self.families[family])
        part = named[named["arm"].isin(arms)]
        by_arm = part.assign(arm=pd.Categorical(part["arm"], categories=pd.Index(arms), ordered=True))
        behind = "".join(f"-{word}" for word in family.split())
        with plots.style():
            survival, curves = plots.survival(by_arm, self.metric, threshold=self.escape_threshold, by=["arm"])
            emergence, bands = plots.emergence(by_arm, self.metric, by=["arm"], lines=self.levels)
            return [
                *save(survival, curves, out / f"survival{behind}.png"),
                *save(emergence, bands, out / f"emergence{behind}.png"),
            ]

    def tables(self, named: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What follows from a frame with a column `arm` alone, by heading."""
        thresholds = {"left": self.escape_threshold, "solved": self.solve_threshold}
        times = emergence_table(named, self.metric, thresholds=thresholds, by=["arm"])
        ends = run_values(named, self.metric)
        tables = {"Runs": summary(times, ends, list(self.arms))}
        for family, of_family in self.families.items():
            arms, where = list(of_family), f", {family}" if family else ""
            own = times.set_index("arm").loc[arms].reset_index()
            left = f"Escape from the plateau{where} ({self.label} past {self.escape_threshold:g}, twice in a row)"
            tables[left] = survival_comparisons(own, "left", column="arm")
            end = f"{self.label.capitalize()} at the end{where}, against {arms[0]}"
            tables[end] = comparison_table(ends[ends["arm"].isin(arms)], column="arm", baseline=arms[0])
        stones = emergence_table(named, self.stepping_stone, thresholds={"known": self.stone_threshold}, by=["arm"])
        stone = (
            f"Head 2 knows {self.stepping_stone_label} (`{self.stepping_stone}` past {self.stone_threshold:g}, twice in a row)"
        )
        return tables | {stone: stone_summary(stones, list(self.arms))}


def rate_table(values: pd.DataFrame) -> pd.DataFrame:
    """Where the first arm ended with each rate, over the tuning seeds: the rate, `mean`, `each seed`."""
    return seed_table(values, [RATE])


def _write_csv(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def folder(arm: str) -> str:
    """An arm's name as a folder can have it."""
    return arm.replace(" = ", "").replace(",", "").replace(" ", "-")


def summary(times: pd.DataFrame, ends: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """One row for each arm: how many runs escaped the plateau and solved the task, and accuracy at the end.

    Where some runs escaped and some did not, accuracies have two peaks: the share is the finding, and the mean has no interval.
    """
    rows = []
    for arm in order:
        part, last = times[times["arm"] == arm], ends[ends["arm"] == arm]["value"]
        rows.append(
            {
                "arm": arm,
                "escaped the plateau": share_with_interval(part["left_observed"].tolist()),
                "solved": share_with_interval(part["solved_observed"].tolist()),
                "accuracy at the end": mean_beside_share(last.tolist(), part["left_observed"].tolist()),
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
