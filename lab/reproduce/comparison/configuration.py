"""The configuration of a study that compares conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Conditions that are compared with one another.

    Attributes:
        settings: Settings that all conditions share; one of them is `task`.
        conditions: Settings of each condition, by its name.
        baseline: The condition that the others are compared with; by default the first.
        metric: The accuracy that is learnt.
        label: The metric in words.
        escaped: Accuracy that counts as an escape from the plateau at two evaluation points in a row; None where there is no
            plateau, and values at the end are compared alone.
        solved: Accuracy that counts as a solution, and ends a run; None where no run ends early.
    """

    settings: Settings
    conditions: Mapping[str, Settings]
    baseline: str = ""
    metric: str
    label: str
    escaped: float | None = None
    solved: float | None = None

    @property
    def reference(self) -> str:
        """The name of the baseline."""
        return self.baseline or next(iter(self.conditions))

    @property
    def stop(self) -> dict[str, Any]:
        """Settings that end a run once it has solved the task."""
        return {} if self.solved is None else {"evaluation.stop.metric": self.metric, "evaluation.stop.threshold": self.solved}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The configuration of a study that compares conditions.

    Attributes:
        name: Name of the study; its sweeps' names begin with it.
        title: Title of the page.
        question: What is asked, in a sentence or two.
        expectation: What the runs were expected to show, written before them.
        limits: What the runs cannot show.
        families: Families of conditions, by name.
        seeds: Seeds of each condition.
        split: Split that measures the runs.
        against: Families by the name of another with the same conditions: whether its conditions differ from their baseline by
            as much as those of this family is tested as well.
    """

    name: str
    title: str
    question: str
    expectation: str
    limits: str
    families: Mapping[str, Family]
    seeds: Sequence[int]
    split: str = "test"
    against: Mapping[str, str] = field(default_factory=dict)

    @property
    def scales(self) -> dict[str, tuple[str, ...]]:
        """Families of each scale: all, or one of several, whose runs the whole study shares."""
        parts = {folder_name(name): (name,) for name in self.families} if len(self.families) > 1 else {}
        return {"laptop": tuple(self.families), **parts}


def folder_name(words: str) -> str:
    """Return a name of a condition or a family as it stands in names of folders and of scales."""
    return words.replace(" = ", "").replace(",", "").replace(" ", "_")
