"""Multi-query associative recall (Arora et al. 2023, MQAR).

A sequence of two pairs (k: key, v: value, ?: query, a: answer, .: filler):

    3 9 | 5 8 | . . 3 9 . . 5 8
    k v   k v   . . ? a . . ? a

Each key is queried once, at a distance that follows a power law: most queries come early, some late. In the published data the
answers are labels only. Here they are part of the sequence, the second token of a query's slot, since every task is a language
to model. The filler is a token of its own (the published `random_non_queries=False`), so that every key after the pairs is a
query.

Shapes: B sequences, P pairs, S slots of two tokens after the pairs, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from math import comb, perm
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast, choose
from tasks.core.splits import MOST_LISTED
from tasks.errors import TaskError
from tasks.settings import require

KEY, VALUE, FILLER, QUERY, ANSWER = 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class Recall(Task):
    """Distinct keys, each followed by a distinct value, then every key once more, followed by its value."""

    name: ClassVar[str] = "recall"
    summary: ClassVar[str] = "recall the value that was paired with a key earlier in the sequence"
    source: ClassVar[str] = "Arora et al. 2023 (MQAR)"
    roles = (PADDING, "key", "value", "filler", "query", "answer")
    role_labels: ClassVar[Mapping[str, str]] = {
        "key": "keys",
        "value": "values",
        "filler": "filler tokens",
        "query": "queried keys",
        "answer": "values of the queried keys",
    }
    headline: ClassVar[str] = "accuracy/answer"

    vocabulary: int = 32
    """V, token ids: 0 is the filler, 1 to V/2 - 1 are keys, V/2 to V - 1 are values."""
    pairs: int = 6
    """P, key-value pairs in a sequence."""
    length: int = 32
    """T, tokens in a sequence."""
    power: float = 0.01
    """Exponent a of the power law: slot g >= 1 after the pairs has weight a g^(a - 1), so a small a favours early slots."""

    def check(self) -> None:
        require(self.vocabulary >= 4 and self.vocabulary % 2 == 0, "recall.vocabulary", self.vocabulary, "even and at least 4")
        most = self.vocabulary // 2 - 1
        require(1 <= self.pairs <= most, "recall.pairs", self.pairs, f"between 1 and {most}, the keys of this vocabulary")
        shortest = 4 * self.pairs
        require(self.length >= shortest, "recall.length", self.length, f"at least {shortest}, the pairs and a query for each")
        require(self.length % 2 == 0, "recall.length", self.length, "even, since slots have two tokens")
        require(0 < self.power <= 10, "recall.power", self.power, "above 0 and at most 10")

    @property
    def vocab_size(self) -> int:
        return self.vocabulary

    def word(self, token: int) -> str:
        if token == 0:
            return "."
        half = self.vocabulary // 2
        return f"k{token}" if token < half else f"v{token - half}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        half, pairs = self.vocabulary // 2, self.pairs
        keys_BP = 1 + rng.random((size, half - 1)).argsort(axis=1)[:, :pairs]
        values_BP = half + rng.random((size, half)).argsort(axis=1)[:, :pairs]
        slots_BP = self._slots(rng, size)
        tokens = np.zeros((size, self.length), dtype=np.int64)
        roles = np.full((size, self.length), FILLER, dtype=np.int8)
        tokens[:, 0 : 2 * pairs : 2], tokens[:, 1 : 2 * pairs : 2] = keys_BP, values_BP
        roles[:, 0 : 2 * pairs : 2], roles[:, 1 : 2 * pairs : 2] = KEY, VALUE
        row_B1, query_BP = np.arange(size)[:, None], 2 * pairs + 2 * slots_BP
        tokens[row_B1, query_BP], tokens[row_B1, query_BP + 1] = keys_BP, values_BP
        roles[row_B1, query_BP], roles[row_B1, query_BP + 1] = QUERY, ANSWER
        return self.rows(tokens, roles)

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        half, pairs = self.vocabulary // 2, self.pairs
        slots_BS2 = tokens.reshape(len(tokens), -1, 2)
        pairs_BP2, later_BS2 = slots_BS2[:, :pairs], slots_BS2[:, pairs:]
        keys_BP, key_BS = pairs_BP2[:, :, 0], later_BS2[:, :, 0]
        is_query_BS, match_BSP = key_BS != 0, self._matches(tokens)
        fit = ((keys_BP >= 1) & (keys_BP < half)).all() and (pairs_BP2[:, :, 1] >= half).all()
        once = (match_BSP.sum(axis=1) == 1).all() and (match_BSP.sum(axis=2) == is_query_BS).all()
        values_BP = np.sort(pairs_BP2[:, :, 1], axis=1)
        if not (fit and once and (values_BP[:, 1:] != values_BP[:, :-1]).all()):
            raise TaskError(
                f"recall: a sequence is {pairs} pairs of a key from 1 to {half - 1} and a value from {half} to {2 * half - 1}, "
                "all different, then each key once more, before its value, between fillers 0 0"
            )
        value_BS, right_BS = later_BS2[:, :, 1], self._values(tokens)
        for wrong in np.argwhere(value_BS != right_BS)[:1]:
            key, right, value = (each_BS[tuple(wrong)] for each_BS in (key_BS, right_BS, value_BS))
            raise TaskError(f"recall: after {key} must come {right}, not {value}")
        first = np.broadcast_to([KEY, VALUE], pairs_BP2.shape)
        later = np.where(is_query_BS[:, :, None], [QUERY, ANSWER], FILLER)
        return self.rows(tokens, np.concatenate([first, later], axis=1).reshape(tokens.shape))

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the value of the key that a prompt ends with, (1,); the prompt may end at any query."""
        self.check_ids(prompt)
        begin = 2 * self.pairs
        known = dict(zip(prompt[0:begin:2].tolist(), prompt[1:begin:2].tolist(), strict=False))
        if len(prompt) <= begin or len(prompt) % 2 == 0 or int(prompt[-1]) not in known:
            raise TaskError(f"recall: a prompt to solve begins with {self.pairs} pairs and ends with one of their keys")
        return np.array([known[int(prompt[-1])]], dtype=np.int64)

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the set of pairs, independent of their order and of the slots of their queries."""
        keys_BP, values_BP = tokens[:, 0 : 2 * self.pairs : 2], tokens[:, 1 : 2 * self.pairs : 2]
        return np.sort(keys_BP * self.vocabulary + values_BP, axis=1)

    def instance_count(self) -> Bound:
        """Multiply the choices of the keys by the ordered choices of their values."""
        half = self.vocabulary // 2
        return Bound(comb(half - 1, self.pairs) * perm(half, self.pairs))

    def every_instance(self) -> NDArray[np.integer] | None:
        if self.pairs > 8 or self.instance_count().value > MOST_LISTED:  # 8! orders of values are too many
            return None
        half, pairs = self.vocabulary // 2, self.pairs
        keys = np.array(list(combinations(range(1, half), pairs)))
        values = np.array(list(permutations(range(half, 2 * half), pairs)))
        every: NDArray[np.integer] = (keys[:, None] * self.vocabulary + values).reshape(-1, pairs)
        return every

    def floor(self, role: str) -> float | None:
        """Return 0 for `answer`, the mean of ln(V/2 - j) for `value`, and of ln(V/2 - 1 - j) over the keys j >= 1 for `key`.

        Nothing predicts key 0. The slots of queries depend on each other, so `filler` and `query` have no closed form.
        """
        half, number = self.vocabulary // 2, self.role(role)
        if number == KEY:  # a single pair's key is the first token, which nothing predicts
            return float(np.log(half - 1 - np.arange(1, self.pairs)).mean()) if self.pairs > 1 else 0.0
        return {VALUE: float(np.log(half - np.arange(self.pairs)).mean()), ANSWER: 0.0}.get(number)

    def chance(self, role: str) -> float | None:
        """Return 2 / V for `value` and `answer`, and 1 / (V/2 - 1) for `key` and `query`."""
        half = self.vocabulary // 2
        by_role = {KEY: 1 / (half - 1), QUERY: 1 / (half - 1), VALUE: 1 / half, ANSWER: 1 / half}
        return by_role.get(self.role(role))

    def contrast(self, batch: Batch) -> Contrast:
        """Give one of the keys a value that no other key has; the answer is the token after its query."""
        tokens, row_B, begin = batch.tokens.copy(), np.arange(len(batch)), 2 * self.pairs
        changed_B = 1 + 2 * choose(tokens, np.ones((len(batch), self.pairs), dtype=np.bool_))
        old_B1, new_B1 = tokens[row_B, changed_B, None], choose(tokens, self._unseen(tokens[:, :begin], 1), key=1)[:, None]
        tokens = np.where(tokens == old_B1, new_B1, tokens)
        answer_B = begin + (tokens[:, begin:] == new_B1).argmax(axis=1)
        return Contrast(sequence=row_B, tokens=tokens, changed=changed_B, answer=answer_B)

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the `value` of the queried key, from 0, at its query."""
        value_BT = np.full(batch.tokens.shape, -1)
        value_BT[:, 2 * self.pairs :: 2] = np.maximum(self._values(batch.tokens) - self.vocabulary // 2, -1)
        return {"value": value_BT}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the uniform distribution over unseen keys or values, or the certain second token of a slot after the pairs.

        None for the first token of such a slot: slots and order of the queries depend on each other and have no closed form.
        """
        count = tokens.shape[1]
        if count < 2 * self.pairs:
            follows_BV = self._unseen(tokens, count % 2)
        elif count % 2:
            follows_BV = self._values(tokens)[:, -1:] == np.arange(self.vocabulary)
        else:
            return None
        return np.asarray(follows_BV / follows_BV.sum(axis=1, keepdims=True))

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the value of its key follows each query."""
        value_BS, consistent_BT = self._values(tokens), np.ones(tokens.shape, dtype=np.bool_)
        consistent_BT[:, 2 * self.pairs + 1 :: 2] = (value_BS == 0) | (tokens[:, 2 * self.pairs + 1 :: 2] == value_BS)
        return consistent_BT

    def _unseen(self, tokens: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
        """Return whether each token is a key (`side` 0) or a value (`side` 1) that does not occur yet, (B, V)."""
        token_V, half = np.arange(self.vocabulary), self.vocabulary // 2
        seen_BV = (tokens[:, side::2, None] == token_V).any(axis=1)
        return np.asarray(~seen_BV & ((token_V >= half) if side else (token_V > 0) & (token_V < half)))

    def _matches(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each slot after the pairs queries each key, (B, S, P)."""
        keys_BP, key_BS = tokens[:, 0 : 2 * self.pairs : 2], tokens[:, 2 * self.pairs :: 2]
        return np.asarray((key_BS[:, :, None] != 0) & (key_BS[:, :, None] == keys_BP[:, None]))

    def _values(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the value of the key that each slot after the pairs queries, (B, S); the filler 0 without a query."""
        values_BP = tokens[:, 1 : 2 * self.pairs : 2]
        return np.asarray((self._matches(tokens) * values_BP[:, None]).sum(axis=2))

    def weights(self) -> NDArray[np.float64]:
        """Return the probability of each slot after the pairs, (S,); queries draw slots without replacement."""
        gaps = np.arange(1, (self.length - 2 * self.pairs) // 2 + 1)
        weights = self.power * gaps.astype(np.float64) ** (self.power - 1)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _slots(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Draw different slots by their weights, (B, P): the earliest of exponential arrival times with these rates."""
        arrival = rng.standard_exponential((size, len(self.weights()))) / self.weights()
        order: NDArray[np.int64] = np.argsort(arrival, axis=1)
        return order[:, : self.pairs]
