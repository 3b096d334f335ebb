"""The contract of a task: everything that a task can define. `Task` (in `base.py`) adds what follows from it.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from tasks.core.batch import Batch
from tasks.core.bounds import Bounds
from tasks.core.insight import Insight
from tasks.core.task_metrics import TaskMetrics
from tasks.errors import TaskError, nearest


@dataclass(frozen=True, kw_only=True)
class Contract(Bounds, Insight, TaskMetrics, ABC):
    """The settings, vocabulary, roles, instances and answers that a task defines."""

    name: ClassVar[str]
    """The name by which the task is found."""
    summary: ClassVar[str]
    """One line: what the task asks of a model."""
    source: ClassVar[str]
    """The paper that the task comes from."""
    role_labels: ClassVar[Mapping[str, str]] = {}
    """The label of each role in figures, by role: a noun phrase of at most 40 characters, as `copied segment`.

    A key `carry_#` stands for all roles `carry_<number>`; `#` in its label becomes the number.
    """

    loss_on: Literal["all", "answer"] = "all"
    """Targets that train: `all` that have a role, or only those of the `answer`."""

    def check(self) -> None:
        """Reject settings out of range with a TaskError that names setting, value and range."""

    def check_files(self) -> None:
        """Reject unusable files that settings name, with a TaskError: called by `tasks.get`, not at construction."""

    # --- what a task is ------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def headline(self) -> str:
        """The metric whose curve shows whether the task is learnt.

        One of `accuracy/<role>` and `loss/<role>` (of the next-token head), `exact` and `first` (of an answer), a name that
        `compare` returns, and `sampled/<name>` and `forced/<name>` with a name that `judge` returns. In a task this property
        and those below are class variables where they do not depend on settings.
        """

    @property
    def has_answer(self) -> bool:
        """Whether an instance consists of a prompt and its answer."""
        return False

    @property
    def longest_answer(self) -> int:
        """Most tokens of an answer, or an upper bound: by default the whole sequence; 0 without answers."""
        return self.length if self.has_answer else 0

    @property
    def determined(self) -> bool:
        """Whether the prompt determines the answer; otherwise `solve` raises and whole answers are not scored."""
        return True

    @property
    def splits_itself(self) -> bool:
        """Whether `draw` returns sequences of the right split alone, because the task divides its instances itself."""
        return False

    @property
    @abstractmethod
    def roles(self) -> tuple[str, ...]:
        """The roles of positions as targets; the first is `PADDING`."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of token ids."""

    @property
    def classes(self) -> NDArray[np.int64] | None:
        """The class of each token id, (V,) int64 numbered from 0, such as digits and operators; None without classes."""
        return None

    @property
    @abstractmethod
    def length(self) -> int:
        """T, tokens in a sequence."""

    @abstractmethod
    def word(self, token: int) -> str:
        """Return a token id as people read it."""

    def encode(self, words: str) -> NDArray[np.int64]:
        """Return the ids of words that are separated by blanks: the inverse of `word`.

        Returns:
            (T,) int64.

        Raises:
            TaskError: If a word is not in the vocabulary; the message suggests the nearest.
        """
        ids = {self.word(token): token for token in range(self.vocab_size)}
        for word in words.split():
            if word not in ids:
                raise TaskError(f"{self.name} has no word {word!r}; {nearest(word, ids)}")
        return np.array([ids[word] for word in words.split()], dtype=np.int64)

    # --- instances -----------------------------------------------------------------------------------------------

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        """Draw `size` independent sequences from the task's distribution, without a Python loop over them.

        Sequences of other splits are rejected afterwards, so `split` matters only to a task whose distribution depends on it.
        """

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the canonical form of each sequence, (B, K): sequences with equal forms are one instance and share a split."""
        return tokens

    def repeats(self) -> tuple[int, int] | None:
        """Return the shortest and longest distance, in tokens, at which a sequence repeats itself; None if it does not.

        Attention heads are probed at a distance in the middle of these: see `lab.interp.attention_scores.probe_period`.
        """
        return None

    def artifacts(self) -> dict[str, str]:
        """Return files to keep in a run's folder, such as a tokenizer: their text by file name."""
        return {}

    # --- answers -------------------------------------------------------------------------------------------------

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compute the right answer's tokens by the task's rule, without a model.

        Args:
            prompt: (P,) ids, all tokens before the answer.

        Returns:
            (A,) int64.

        Raises:
            TaskError: If no answer is determined, or the task could not draw the prompt.
        """
        raise TaskError(f"{self.name} has no determined answer to solve for")

    @final
    def check_ids(self, tokens: NDArray[np.int64]) -> None:
        """Reject tokens that are not ids of the vocabulary: for use in `solve`.

        Raises:
            TaskError: Naming the first such token.
        """
        for token in tokens[(tokens < 0) | (tokens >= self.vocab_size)][:1].tolist():
            raise TaskError(f"{self.name}: a token must be between 0 and {self.vocab_size - 1}, not {token}")

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Return tokens with the roles and answers that `draw` would give them.

        The lines of text of a task that defines this are token ids alone; those of other tasks also state the roles.

        Args:
            tokens: (B, T) ids.

        Raises:
            TaskError: If the task could not draw a sequence; the message states the right tokens.
        """
        raise TaskError(f"{self.name}: tokens alone do not determine roles")

    # --- roles ---------------------------------------------------------------------------------------------------

    @final
    def role(self, name: str) -> int:
        """Return the number of a role.

        Raises:
            TaskError: If the task has no such role.
        """
        if name not in self.roles:
            raise TaskError(f"{self.name} has no role {name!r}; {nearest(name, self.roles)}")
        return self.roles.index(name)

    @classmethod
    def role_label(cls, role: str) -> str:
        """Return the label of a role in figures: that in `role_labels`, else the words of the role's name.

        Args:
            role: A role, with `/k` after it for the k-th symbol of a spelled token; or `all`.
        """
        if role == "all":
            return "all scored tokens"
        token, _, symbol = role.partition("/")
        if symbol:
            return f"{cls.role_label(token)}, symbol {symbol}"
        if role in cls.role_labels:
            return cls.role_labels[role]
        numbered = re.fullmatch(r"(.*_)(\d+)", role)
        if numbered is not None and f"{numbered[1]}#" in cls.role_labels:
            return cls.role_labels[f"{numbered[1]}#"].replace("#", numbered[2])
        return role.replace("_", " ")

    @final
    def rows(self, tokens: NDArray[np.integer], roles: NDArray[np.integer], answer: NDArray[np.integer] | None = None) -> Batch:
        """Build a batch whose scored positions follow from `loss_on`: for use in `draw`.

        Args:
            tokens: (B, T) ids.
            roles: (B, T) indices into the task's `roles`.
            answer: (B, 2) as in `Batch`; None if there are no answers.
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
