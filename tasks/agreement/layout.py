"""The settings of agreement and the layout of its sequences: token ids, roles, and the phrase after the prompt.

Shapes: B sequences, T positions, P pairs of the glossary, W words, D stems of a word, S = W D stems, V vocabulary. The ids of
keys come first, then those of verbs, stems and cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Task
from tasks.core.rng import stream
from tasks.settings import require


@dataclass(frozen=True, kw_only=True)
class Layout(Task):
    """A prompt of a glossary and a key, and a phrase of words and the verb."""

    order: Literal["verb_last", "verb_first"] = "verb_last"
    """Whether the verb follows or precedes the words; `verb_first` is the control without look-ahead."""
    words: int = 1
    """Words of the noun phrase; a later verb is (words - 1)(distance + 1) + 1 tokens after the first case."""
    distance: int = 1
    """Random stems of each word, d: the first case is d + 1 tokens after the key, or after the verb."""
    pairs: int = 4
    """Pairs of a key and a verb in the glossary; with 1 the glossary names the verb directly."""
    keys: int = 8
    """Number of keys to choose from."""
    verbs: int = 16
    """Number of verbs to choose from."""
    cases: int = 8
    """Number of cases; the lexicon assigns the same number of verbs to each, to within one."""
    stems: int = 16
    """Number of stems to choose from."""
    loss_on: Literal["all", "answer"] = "answer"

    def check(self) -> None:
        require(self.words >= 1, "agreement.words", self.words, "at least 1")
        require(self.distance >= 0, "agreement.distance", self.distance, "at least 0")
        require(self.pairs >= 1, "agreement.pairs", self.pairs, "at least 1")
        require(self.keys >= self.pairs, "agreement.keys", self.keys, f"at least {self.pairs}, a key for each of the pairs")
        require(self.cases >= 2, "agreement.cases", self.cases, "at least 2")
        require(self.verbs >= self.cases, "agreement.verbs", self.verbs, f"at least {self.cases}, a verb for each of the cases")
        require(self.stems >= 1, "agreement.stems", self.stems, "at least 1")

    @property
    def roles(self) -> tuple[str, ...]:
        """`stem` exists at a distance of 1 or more, `case_again` with two words or more."""
        stem, again = ["stem"] * (self.distance > 0), ["case_again"] * (self.words > 1)
        return (PADDING, "prompt", *stem, "case_first", *again, "verb")

    @property
    def vocab_size(self) -> int:
        return self.keys + self.verbs + self.stems + self.cases

    @property
    def classes(self) -> NDArray[np.int64]:
        """Four classes: keys, verbs, stems and cases."""
        return np.repeat(np.arange(4), [self.keys, self.verbs, self.stems, self.cases])

    @property
    def length(self) -> int:
        return self._prompt + len(self._phrase)

    @property
    def longest_answer(self) -> int:
        return len(self._phrase)

    @property
    def lexicon(self) -> NDArray[np.int64]:
        """(verbs,) int64, the case that each verb governs, numbered from 0."""
        return _lexicon(self.verbs, self.cases)

    def word(self, token: int) -> str:
        for prefix, number in (("k", self.keys), ("v", self.verbs), ("s", self.stems)):
            if token < number:
                return f"{prefix}{token}"
            token -= number
        return f"-c{token}"

    def _phrase_of(self, verb_B: NDArray[np.int64], stems_BS: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tokens after the prompt, (B, W (D + 1) + 1): words of D stems and a case, and the verb."""
        stems_BWD = stems_BS.reshape(len(verb_B), self.words, self.distance)
        case_BW1 = np.broadcast_to(self._governed[verb_B][:, None, None], (len(verb_B), self.words, 1))
        words, verb = np.concatenate([stems_BWD, case_BW1], axis=2).reshape(len(verb_B), -1), verb_B[:, None]
        return np.concatenate([verb, words] if self.order == "verb_first" else [words, verb], axis=1)

    def _label_phrase(self, tokens: NDArray[np.int64]) -> Batch:
        """Return sequences with their roles and answers."""
        numbers = [self.roles.index(name) for name in self._names]
        answer = np.tile([self._prompt, self.length], (len(tokens), 1))
        return self.rows(tokens, np.broadcast_to(numbers, tokens.shape), answer)

    def _verb_position(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position in the glossary of the verb at the chosen key, (B,)."""
        chosen_BP = tokens[:, 0 : self._prompt - 1 : 2] == tokens[:, self._prompt - 1 : self._prompt]
        position_B: NDArray[np.int64] = 1 + 2 * chosen_BP.argmax(axis=1)
        return position_B

    def _stems_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the stems of the phrases, (B, S)."""
        return tokens[:, [role == "stem" for role in self._names]]

    @property
    def _governed(self) -> NDArray[np.int64]:
        """(V,) int64, the id of the case that each token governs; -1 for a token that is not a verb."""
        governed_V = np.full(self.vocab_size, -1)
        governed_V[self.keys : self._stems] = self._cases + self.lexicon
        return governed_V

    @property
    def _phrase(self) -> list[str]:
        """The role of each token after the prompt."""
        stems = ["stem"] * self.distance
        phrase = [*stems, "case_first", *[*stems, "case_again"] * (self.words - 1)]
        return ["verb", *phrase] if self.order == "verb_first" else [*phrase, "verb"]

    @property
    def _names(self) -> list[str]:
        """The role of each token."""
        return ["prompt"] * self._prompt + self._phrase

    @property
    def _prompt(self) -> int:
        """Number of tokens of the prompt."""
        return 2 * self.pairs + 1

    @property
    def _stems(self) -> int:
        """Id of the first stem."""
        return self.keys + self.verbs

    @property
    def _cases(self) -> int:
        """Id of the first case."""
        return self.keys + self.verbs + self.stems


@lru_cache(maxsize=16)
def _lexicon(verbs: int, cases: int) -> NDArray[np.int64]:
    """Draw the case that each verb governs."""
    lexicon = stream(f"agreement/lexicon/{verbs}/{cases}", seed=0, index=0).permutation(verbs) % cases
    lexicon.flags.writeable = False
    return lexicon
