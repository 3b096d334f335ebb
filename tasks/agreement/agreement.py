"""Agreement of words with a later or earlier verb: factorisation orders of different difficulty (Gloeckle et al. 2024, L.4).

Sequences with two pairs in the glossary and two words in the noun phrase:

    k3 v7 k1 v2 k1 | s5 -c0 s9 -c0 v2        order verb_last
    k3 v7 k1 v2 k1 | v2 s5 -c0 s9 -c0        order verb_first

The prompt names a verb by a glossary of keys and verbs, and the key of the chosen verb. The words follow, each a random stem
and the marker of the case that the verb governs, by a fixed lexicon that a model must store in its weights.

Both orders have the same information: the prompt determines the verb and hence the case, so the floors of cases and verb are 0.
The orders differ in the look-ups for each token. With `verb_first` each target needs one: the verb in the glossary, or the case
in the lexicon. With `verb_last` the first case needs both, although the verb comes later.

With `distance` d each word has d random stems, so that the first case is d + 1 tokens after the key. Then only prediction heads
from d + 1 on predict the first case at the key, where the look-up begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, exp, lgamma, log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tasks.agreement.layout import Layout
from tasks.core.base import Batch, Bound
from tasks.core.insight import Contrast, choose
from tasks.core.splits import MOST_LISTED
from tasks.errors import TaskError


@dataclass(frozen=True, kw_only=True)
class Agreement(Layout):
    """A glossary that names a verb, then words in the case that the verb governs, and the verb after or before them."""

    name: ClassVar[str] = "agreement"
    summary: ClassVar[str] = "mark words with the case that a verb governs, before (or after) the verb appears"
    source: ClassVar[str] = "Gloeckle et al. 2024, appendix L.4"
    role_labels: ClassVar[Mapping[str, str]] = {
        "prompt": "prompt",
        "stem": "word stems",
        "case_first": "first case marker",
        "case_again": "later case markers",
        "verb": "verb",
    }
    headline: ClassVar[str] = "accuracy/case_first"
    has_answer: ClassVar[bool] = True
    determined: ClassVar[bool] = False

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        keys_BP = rng.random((size, self.keys)).argsort(axis=1)[:, : self.pairs]
        verbs_BP = rng.integers(self.verbs, size=(size, self.pairs))
        chosen_B = rng.integers(self.pairs, size=size)
        stems_BS = rng.integers(self.stems, size=(size, self.words * self.distance))
        row_B = np.arange(size)
        tokens = np.empty((size, self.length), dtype=np.int64)
        tokens[:, 0 : self._prompt - 1 : 2], tokens[:, 1 : self._prompt - 1 : 2] = keys_BP, self.keys + verbs_BP
        tokens[:, self._prompt - 1] = keys_BP[row_B, chosen_B]
        verb_B = verbs_BP[row_B, chosen_B]
        tokens[:, self._prompt :] = self._phrase_of(self.keys + verb_B, self._stems + stems_BS)
        return self._label_phrase(tokens)

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        keys_BP, verbs_BP = tokens[:, 0 : self._prompt - 1 : 2], tokens[:, 1 : self._prompt - 1 : 2]
        chosen_BP = keys_BP == tokens[:, self._prompt - 1 : self._prompt]
        sorted_BP = np.sort(keys_BP, axis=1)
        fit = (keys_BP < self.keys).all() and ((self.keys <= verbs_BP) & (verbs_BP < self._stems)).all()
        if not (fit and (sorted_BP[:, 1:] != sorted_BP[:, :-1]).all() and chosen_BP.any(axis=1).all()):
            raise TaskError(
                f"agreement: a prompt is {self.pairs} different keys below {self.keys}, after each a verb from {self.keys} "
                f"to {self._stems - 1}, and then one of the keys"
            )
        stems_BS = self._stems_of(tokens)
        if not ((self._stems <= stems_BS) & (stems_BS < self._cases)).all():
            raise TaskError(f"agreement: a stem is from {self._stems} to {self._cases - 1}")
        right = self._phrase_of((chosen_BP * verbs_BP).sum(axis=1), stems_BS)
        for row, step in np.argwhere(right != tokens[:, self._prompt :])[:1]:
            position = self._prompt + step
            expected, found = (f"{each} ({self.word(int(each))})" for each in (right[row, step], tokens[row, position]))
            raise TaskError(f"agreement: token {position} must be {expected}, not {found}")
        return self._label_phrase(tokens)

    def drawn_from(self) -> dict[str, Any]:
        """Leave out `distance` at its default, so that tasks from before this setting draw the same instances."""
        values = super().drawn_from()
        return values if self.distance != 1 else {name: value for name, value in values.items() if name != "distance"}

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the glossary as a set and the chosen key, independent of the order of the pairs, the stems and `order`."""
        keys_BP, verbs_BP = tokens[:, 0 : self._prompt - 1 : 2], tokens[:, 1 : self._prompt - 1 : 2]
        glossary = np.sort(keys_BP * self.vocab_size + verbs_BP, axis=1)
        return np.concatenate([glossary, tokens[:, self._prompt - 1 : self._prompt]], axis=1)

    def instance_count(self) -> Bound:
        """Multiply the choices of the keys, of a verb for each, and of one key."""
        return Bound(comb(self.keys, self.pairs) * self.verbs**self.pairs * self.pairs)

    def every_instance(self) -> NDArray[np.integer] | None:
        if self.pairs > 14 or self.instance_count().value > MOST_LISTED:  # 2^15 choices of verbs are too many
            return None
        keys = np.array(list(combinations(range(self.keys), self.pairs)))[:, None, None]
        verbs = self.keys + np.array(list(product(range(self.verbs), repeat=self.pairs)))[:, None]
        glossary = np.broadcast_to(keys * self.vocab_size + verbs, (len(keys), len(verbs), self.pairs, self.pairs))
        chosen = np.broadcast_to(keys[..., 0, :, None], (*glossary.shape[:-1], 1))
        return np.concatenate([glossary, chosen], axis=3).reshape(-1, self.pairs + 1)

    def floor(self, role: str) -> float | None:
        """Return 0 for cases and verb, which the prompt determines, ln(stems) for `stem`, and a mean for `prompt`.

        The prompt has keys that are new, uniform verbs, and one of the keys again.
        """
        if self.role(role) == 0:
            return None
        is_target_T = np.array([name == role for name in self._names])
        is_target_T[0] = False  # nothing predicts the first token
        return float(self._entropies[is_target_T].mean())

    def chance(self, role: str) -> float | None:
        """Return 1 / stems for `stem`, 1 / verbs for `verb`, and for cases the share of verbs with the most frequent one."""
        most_frequent = float(np.bincount(self.lexicon).max() / self.verbs)
        by_role = {"stem": 1 / self.stems, "case_first": most_frequent, "case_again": most_frequent, "verb": 1 / self.verbs}
        return by_role.get(self.roles[self.role(role)])

    def plateaus(self, role: str) -> Mapping[str, float]:
        """Return the accuracy of guesses that know the glossary and the lexicon, but not which verb the key names.

        They guess the most frequent case, or verb, of the glossary. The role that needs the key is `case_first`, or `verb` with
        the verb first.
        """
        last = self.order == "verb_last"
        if self.pairs == 1 or role != ("case_first" if last else "verb"):
            return {}
        share_K = np.bincount(self.lexicon) / self.verbs if last else np.full(self.verbs, 1 / self.verbs)
        return {"key not resolved": _expected_most(share_K, self.pairs) / self.pairs}

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the entropies of the positions: each token is uniform over a number of choices, or determined."""
        return np.broadcast_to(self._entropies, tokens.shape)

    def contrast(self, batch: Batch) -> Contrast:
        """Change the verb at the chosen key and with it the case; the answer is the first case or verb after the prompt."""
        tokens, row_B, position_B = batch.tokens.copy(), np.arange(len(batch)), self._verb_position(batch.tokens)
        others_BV = (self._governed >= 0) & (self._governed != self._governed[tokens[row_B, position_B]][:, None])
        verb_B = choose(tokens, others_BV)
        tokens[row_B, position_B] = verb_B
        tokens[:, self._prompt :] = self._phrase_of(verb_B, self._stems_of(tokens))
        answer = self._names.index("case_first" if self.order == "verb_last" else "verb")
        return Contrast(sequence=row_B, tokens=tokens, changed=position_B, answer=np.full(len(batch), answer))

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the `verb` at the chosen key and the `case` that it governs, from the key on."""
        chosen_B = batch.tokens[np.arange(len(batch)), self._verb_position(batch.tokens)] - self.keys
        verb_B1 = np.clip(chosen_B, 0, self.verbs - 1)[:, None]
        known_T = np.arange(self.length) >= self._prompt - 1
        return {"verb": np.where(known_T, verb_B1, -1), "case": np.where(known_T, self.lexicon[verb_B1], -1)}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the uniform distribution over the tokens that may follow."""
        follows_BV = self._may_follow(tokens)
        return np.asarray(follows_BV / follows_BV.sum(axis=1, keepdims=True))

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each case and verb agrees with those before it.

        After a wrong first case, its repetitions and any verb that governs it are consistent. With the verb first, the cases
        that it governs are consistent even if it is wrong.
        """
        consistent_BT = np.ones(tokens.shape, dtype=np.bool_)
        for position in range(self._prompt, self.length):
            follows_BV = self._may_follow(tokens[:, :position])
            consistent_BT[:, position] = np.take_along_axis(follows_BV, tokens[:, position, None], axis=1)[:, 0]
        return consistent_BT

    def _may_follow(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each token is right after these tokens, whatever mistakes they have in the phrase, (B, V)."""
        (size, count), token_V = tokens.shape, np.arange(self.vocab_size)
        role = self._names[count]
        if role == "stem" or (role == "prompt" and count % 2):
            low, high = (self._stems, self._cases) if role == "stem" else (self.keys, self._stems)
            return np.broadcast_to((low <= token_V) & (token_V < high), (size, self.vocab_size))
        if role == "prompt":
            listed_BV = (tokens[:, :count:2, None] == token_V).any(axis=1)
            return np.asarray(listed_BV if count == self._prompt - 1 else ~listed_BV & (token_V < self.keys))
        verb_B1 = np.take_along_axis(tokens, self._verb_position(tokens)[:, None], axis=1)
        if self.order == "verb_first":
            return np.asarray(token_V == (verb_B1 if role == "verb" else self._governed[tokens[:, self._prompt, None]]))
        case_B1 = self._governed[verb_B1] if role == "case_first" else tokens[:, self._prompt + self.distance, None]
        if role != "verb":
            return np.asarray((token_V == case_B1) & (token_V >= self._cases))
        return np.asarray(np.where(case_B1 == self._governed[verb_B1], token_V == verb_B1, self._governed == case_B1))

    @property
    def _entropies(self) -> NDArray[np.float64]:
        """(T,) float64, the entropy of each token given those before it, nats."""
        choices = [count for pair in range(self.pairs) for count in (self.keys - pair, self.verbs)] + [self.pairs]
        choices += [self.stems if role == "stem" else 1 for role in self._phrase]
        return np.asarray(np.log(choices), dtype=np.float64)


def _expected_most(share_K: NDArray[np.float64], draws: int) -> float:
    """Compute the expected count of the most frequent of K outcomes in independent draws.

    The counts are those of independent Poisson variables with means draws times share, given that they add up to `draws`. The
    probability that none is above m is that of this sum and no count above m, divided by that of the sum.
    """

    def poisson(mean: float, count: int) -> float:
        return exp(count * log(mean) - mean - lgamma(count + 1))

    expected = float(draws)
    for most in range(1, draws):
        coefficients = np.ones(1)
        for share in share_K:
            terms = [poisson(draws * share, count) for count in range(most + 1)]
            coefficients = np.convolve(coefficients, terms)[: draws + 1]
        expected -= coefficients[draws] / poisson(draws, draws) if len(coefficients) > draws else 0.0
    return expected
