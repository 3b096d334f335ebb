"""The base class of a task, which adds batches in disjoint splits, lines of text and a fingerprint to what a task defines.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, final

import numpy as np

from tasks.core import division, text
from tasks.core.batch import PADDING, Batch
from tasks.core.bounds import Bound
from tasks.core.contract import Contract
from tasks.core.rng import digest, stream
from tasks.core.splits import check_split
from tasks.settings import check_types, default_of, require, whole_number

__all__ = ["PADDING", "Batch", "Bound", "Task"]


@dataclass(frozen=True, kw_only=True)
class Task(Contract):
    """A synthetic language for a model to learn.

    A subclass is a frozen dataclass. It sets the class variables, defines `vocab_size`, `length`, `word` and `draw`, checks its
    settings in `check`, and states what is known of its optimal predictor (`floor`, `chance`, `optimum`).
    """

    @final
    def __post_init__(self) -> None:
        check_types(self)
        require(self.loss_on == "all" or self.has_answer, f"{self.name}.loss_on", self.loss_on, "all (there is no answer)")
        self.check()
        most = np.iinfo(np.int8).max + 1  # the type of a batch's roles
        require(len(self.roles) <= most, f"{self.name}: the number of roles", len(self.roles), f"at most {most}")
        division.check_instances(self)

    @final
    def batch(self, seed: int, index: int, size: int, split: str = "train") -> Batch:
        """Draw sequences of a split. The same arguments give the same bits, on any machine and in any order of calls.

        Args:
            seed: The experiment's seed, 0 or more.
            index: Number of the batch in the stream, 0 or more.
            size: B, the number of sequences, 1 or more.
            split: `train`, `validation` or `test`, which never share an instance.

        Raises:
            TaskError: For a wrong argument, or settings with too few instances for the split.
        """
        check_split(split)
        size = whole_number("size", size)
        rng = stream(f"{self.name}/{self.fingerprint}/{split}", seed=seed, index=index)
        return self.draw(rng, size, split) if self.splits_itself else division.batch_of_split(self, rng, size, split)

    def variants(self) -> dict[str, Task]:
        """Return further tasks on which a trained model is evaluated, by name, such as longer distances or more operations.

        Each has this task's vocabulary and roles.
        """
        return {}

    # --- lines of text -------------------------------------------------------------------------------------------

    def format(self, row: Batch) -> str:
        """Write one instance, with any mistakes in it, as one line of text: the inverse of `parse`.

        Args:
            row: A batch of one sequence, as `batch.row(3)`.
        """
        return text.write(self, row)

    def parse(self, line: str) -> Batch:
        """Read an instance from its line of text: the inverse of `format`.

        Returns:
            A batch of one sequence, with the roles that `draw` would give it.

        Raises:
            TaskError: If the line is malformed, does not fit the settings, or states a wrong answer (naming the right one).
        """
        return text.read(self, line)

    @final
    def show(self, batch: Batch, row: int = 0) -> list[tuple[str, str]]:
        """Return one instance as people read it: (word, role) of each position, without padding."""
        pairs = zip(batch.tokens[row].tolist(), batch.roles[row].tolist(), strict=True)
        return [(self.word(token), self.roles[role]) for token, role in pairs if role != 0]

    # --- identity ------------------------------------------------------------------------------------------------

    @final
    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name; a nested task stands as its own settings with its `name`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: value.description if isinstance(value, Task) else value for key, value in values.items()}

    @final
    @property
    def changed_settings(self) -> dict[str, Any]:
        """The settings that are not at their defaults."""
        defaults = {field.name: default_of(field) for field in fields(self)}
        return {name: value for name, value in self.settings.items() if getattr(self, name) != defaults[name]}

    @final
    @property
    def description(self) -> dict[str, Any]:
        """The settings, and under `name` the name by which `tasks.from_description` finds the task.

        A task of another package has the name `module:Class`, by which it is found even if it is not installed.
        """
        kind = type(self)
        ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        return {"name": self.name if ours else f"{kind.__module__}:{kind.__qualname__}", **self.settings}

    def drawn_from(self) -> dict[str, Any]:
        """Return all that instances depend on, for JSON: the settings but `loss_on`, and a nested task as its fingerprint."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "loss_on"}
        return {key: value.fingerprint if isinstance(value, Task) else value for key, value in values.items()}

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, a hash of the name and of all that instances depend on (`drawn_from`)."""
        return f"{digest(self.name, json.dumps(self.drawn_from(), sort_keys=True)):016x}"
