"""The configuration of a study of a plateau."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.runs import Run

Conditions = Mapping[str, Mapping[str, Any]]
"""Settings of each condition, by its name; the others are compared with the first."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measurement of trained networks, beyond the metrics of their runs.

    Attributes:
        file: Name of the CSV of all numbers, beside the page.
        heading: Heading of the table on the page.
        measure: Return a tidy frame from the runs of each condition.
        summarise: Return the page's table from that frame.
    """

    file: str
    heading: str
    measure: Callable[[Mapping[str, Sequence[Run]]], pd.DataFrame]
    summarise: Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The configuration of a study of a plateau.

    Attributes:
        name: Name of the study and of its task; its sweeps' names begin with it.
        title: Title of the page, with `{scale}` in it.
        scales: Settings that all conditions share, by scale.
        seeds: Seeds of each condition.
        families: Conditions that are compared with one another, by the name of their family; `""` is the main question.
        metric: The accuracy that stays on a plateau.
        label: The metric in words.
        levels: Accuracies to draw as lines, by their name.
        escape_threshold: Accuracy that counts as an escape at two evaluation points in a row.
        solve_threshold: Accuracy that counts as a solution at two evaluation points in a row.
        stepping_stone: Metric of head 2's accuracy on the stepping stone.
        stepping_stone_label: The stepping stone in words.
        stone_threshold: Accuracy of head 2 that counts as knowing the stepping stone.
        metric_pattern: Pattern of the metrics that the frame keeps.
        rates: Peak learning rates to choose from, by the first condition's accuracy at the end, on validation. All conditions
            are trained with the chosen rate and measured on the test split. With none, nothing is chosen.
        tuning_seeds: Seeds of the runs that choose the rate.
        measurements: Further measurements of the trained networks.
    """

    name: str
    title: str
    scales: Mapping[str, Mapping[str, Any]]
    seeds: range
    families: Mapping[str, Conditions]
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

    @property
    def conditions(self) -> Conditions:
        """The conditions of all families."""
        return {name: settings for family in self.families.values() for name, settings in family.items()}
