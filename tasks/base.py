"""The contract of a task: what every task gives, and what it gets for nothing.

A task is a frozen dataclass of settings. It says how to draw instances and what their tokens mean; this file makes of that pure
batches in disjoint splits. Shapes: B rows, T positions.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from tasks import division, lines, streams
from tasks.batch import PADDING, Batch
from tasks.errors import TaskError, nearest
from tasks.known import Count, Known
from tasks.own_metrics import OwnMetrics
from tasks.settings import check_types, require

__all__ = ["PADDING", "Batch", "Count", "Task"]


@dataclass(frozen=True, kw_only=True)
class Task(Known, OwnMetrics, ABC):
    """What a model can be asked to learn.

    A subclass is a frozen dataclass; it sets the class variables, gives `vocab_size`, `length`, `word` and `draw`, checks its
    settings in `check`, and says what it knows of its optimum.
    """

    name: ClassVar[str]
    """By which it is found."""
    summary: ClassVar[str]
    """One line: what it asks."""
    source: ClassVar[str]
    """Where it comes from."""

    loss_on: Literal["all", "answer"] = "all"
    """Which targets train: all that have a role, or the answer's alone."""

    @final
    def __post_init__(self) -> None:
        check_types(self)
        require(self.loss_on == "all" or self.has_answer, f"{self.name}.loss_on", self.loss_on, "all (there is no answer)")
        self.check()
        division.check_instances(self)

    # --- what a task gives ---------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def headline(self) -> str:
        """The metric whose curve says whether the task is learnt: `accuracy/<role>` or `loss/<role>` (of the next-token head),
        `exact` or `first` (of an answer), a name that `compare` gives, `sampled/<name>` or `forced/<name>` (`judge`).

        This and the four below are plain class variables where they need no setting.
        """

    @property
    def has_answer(self) -> bool:
        """Whether an instance is a prompt and its answer."""
        return False

    @property
    def determined(self) -> bool:
        """Whether the prompt determines the answer. Where not, `solve` refuses and whole answers are not scored."""
        return True

    @property
    def splits_itself(self) -> bool:
        """Whether `draw` gives rows of the right split only, because the task divides its space of instances exactly."""
        return False

    @property
    def labels(self) -> bool:
        """Whether `label` tells roles and answers from tokens alone."""
        return False

    def check(self) -> None:
        """Refuse settings out of range, naming setting, value and range (TaskError)."""

    @property
    @abstractmethod
    def roles(self) -> tuple[str, ...]:
        """What a position can be as a target; the first is `PADDING`. A plain class variable where it needs no setting."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of token ids."""

    @property
    @abstractmethod
    def length(self) -> int:
        """T, tokens in a row."""

    @abstractmethod
    def word(self, token: int) -> str:
        """A token id as people read it."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        """Draw `size` independent sequences from the task's distribution, without a Python loop over them.

        Sequences of another split are rejected afterwards; `split` matters only to a task whose distribution differs by split.
        """

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """The canonical form of each row, (B, K): rows that agree in it are the same instance and share a split."""
        return tokens

    def variants(self) -> dict[str, Task]:
        """Other settings at which a trained model is measured as well (unseen distances, more operations), by name.

        Each has this task's vocabulary and roles.
        """
        return {}

    def repeats(self) -> tuple[int, int] | None:
        """Shortest and longest distance, tokens, at which a sequence repeats what it has shown; None where it has no such rule.

        Attention heads are probed at a distance in the middle of these: see `lab.interp.attention_scores.probe_period`.
        """
        return None

    def artifacts(self) -> dict[str, str]:
        """Files that a run's folder must hold to explain itself, as a tokenizer: text by file name."""
        return {}

    # --- answers and lines of text -------------------------------------------------------------------------------

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        """The right answer's tokens, found without a model: the task's own oracle.

        Args:
            prompt: (P,) ids, all that stands before the answer.

        Returns:
            (A,) int64.

        Raises:
            TaskError: If there is no determined answer, or the prompt is none that the task could ask.
        """
        raise TaskError(f"{self.name} has no determined answer to solve for")

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Rows of given tokens with the roles and answers that `draw` gives them. Called only if `labels`.

        A task that labels writes and reads its rows as token ids alone; else the roles stand in the line.

        Args:
            tokens: (B, T) ids.

        Raises:
            TaskError: If a row is none that the task could draw, saying what would be right.
        """
        raise TaskError(f"{self.name}: tokens alone do not tell roles")

    def format(self, row: Batch) -> str:
        """One instance as one line of text, which `parse` reads back; what is wrong in it is written as it is.

        Args:
            row: A batch of one row, as `batch.row(3)`.
        """
        return lines.written(self, row)

    def parse(self, line: str) -> Batch:
        """The instance that a line states: the inverse of `format`.

        Returns:
            A batch of one row, with the roles that `draw` would give it.

        Raises:
            TaskError: If the line is malformed, does not fit the settings, or states a wrong answer (saying what is right).
        """
        return lines.read(self, line)

    # --- what every task gets ------------------------------------------------------------------------------------

    @final
    def batch(self, seed: int, index: int, size: int, split: str = "train") -> Batch:
        """Rows of a split; a pure function: same arguments, same bits, on any machine, in any process, in any order.

        Args:
            seed: The experiment's seed, 0 or more.
            index: Which batch of the stream, 0 or more.
            size: B, rows, 1 or more.
            split: `train`, `validation` or `test`. They never share an instance.

        Raises:
            TaskError: For a wrong argument, or settings with too few instances for the split.
        """
        streams.check_split(split)
        require(size >= 1, "size", size, "at least 1")
        rng = streams.stream(f"{self.name}/{self.fingerprint}/{split}", seed=seed, index=index)
        return self.draw(rng, size, split) if self.splits_itself else division.batch_of_split(self, rng, size, split)

    @final
    def rows(self, tokens: NDArray[np.integer], roles: NDArray[np.integer], answer: NDArray[np.integer] | None = None) -> Batch:
        """A batch whose scored positions follow from `loss_on`: for use in `draw`.

        Args:
            tokens: (B, T) ids.
            roles: (B, T) indices into `roles`.
            answer: (B, 2) begin and end of the answers; None if there are none.
        """
        answer = np.zeros((len(tokens), 2), dtype=np.int64) if answer is None else answer
        scored = roles != 0
        if self.loss_on == "answer":
            position = np.arange(tokens.shape[1])
            scored &= (position >= answer[:, :1]) & (position < answer[:, 1:])
        return Batch(
            tokens=np.require(tokens, np.int64, "W"),
            roles=np.require(roles, np.int8, "W"),
            scored=scored,
            answer=np.require(answer, np.int64, "W"),
        )

    @final
    def role(self, name: str) -> int:
        """The number of a role.

        Raises:
            TaskError: If the task has no such role.
        """
        if name not in self.roles:
            raise TaskError(f"{self.name} has no role {name!r}; {nearest(name, self.roles)}")
        return self.roles.index(name)

    @final
    def show(self, batch: Batch, row: int = 0) -> list[tuple[str, str]]:
        """One instance for people: (word, role) of each position, padding left out."""
        pairs = zip(batch.tokens[row].tolist(), batch.roles[row].tolist(), strict=True)
        return [(self.word(token), self.roles[role]) for token, role in pairs if role != 0]

    @final
    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name, nested tasks as their own settings with their `name`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: value.description if isinstance(value, Task) else value for key, value in values.items()}

    @final
    @property
    def description(self) -> dict[str, Any]:
        """`settings`, and under `name` how the task is found: what `tasks.describe` reads back.

        That is the name of a task of this package, and `module:Class` of any other, which is found without being installed.
        """
        kind = type(self)
        ours = kind.__module__.partition(".")[0] == __package__
        return {"name": self.name if ours else f"{kind.__module__}:{kind.__qualname__}", **self.settings}

    def drawn_from(self) -> dict[str, Any]:
        """All that an instance depends on, for JSON: the settings but `loss_on`, nested tasks by their fingerprint."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "loss_on"}
        return {key: value.fingerprint if isinstance(value, Task) else value for key, value in values.items()}

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with anything that changes an instance (`drawn_from`)."""
        return f"{streams.digest(self.name, json.dumps(self.drawn_from(), sort_keys=True)):016x}"
