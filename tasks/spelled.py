"""Spell the tokens of any task by several symbols: a synthetic form of bytes (Gloeckle et al. 2024, section 3.3).

Induction over four tokens, with a random code of three binary symbols for each token:

    tokens    c     a     d     c              roles   new        new        new        boundary
    symbols   101   000   110   101                    /1 /2 /3   /1 /2 /3   /1 /2 /3   /1 /2 /3

Sequences have the same information and are longer, and the next symbol often only completes the spelling of a token.

Shapes: B sequences, T positions, V symbols of the alphabet, W tokens of the inner task, C sequences of a contrast.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.insight import Contrast
from tasks.core.rng import stream
from tasks.core.strata import Ranks, Stratum
from tasks.errors import TaskError
from tasks.induction import Induction
from tasks.settings import require

_SYMBOLS = string.digits + string.ascii_lowercase
_MOST = 1 << 20
"""Most spellings of a code, `base` to the power `symbols`."""


@dataclass(frozen=True, kw_only=True)
class Spelled(Task):
    """Another task with each token written as `symbols` symbols of an alphabet of `base` symbols, by a random code.

    The inner task's `loss_on` selects the targets that train; `loss_on` here can restrict them to the answer.
    """

    name: ClassVar[str] = "spelled"
    summary: ClassVar[str] = "do another task in a finer alphabet, with each of its tokens spelled by several symbols"
    source: ClassVar[str] = "Gloeckle et al. 2024, section 3.3 (bytes)"

    task: Task = field(default_factory=Induction)
    """The inner task, its name, or a mapping of its name and settings."""
    base: int = 8
    """V, number of symbols of the alphabet."""
    symbols: int = 2
    """Symbols of a token (the paper's `length` of a spelling; here `length` is that of a sequence)."""
    loss_on: Literal["all", "answer"] = "all"

    def check(self) -> None:
        require(2 <= self.base <= _MOST, "spelled.base", self.base, f"between 2 and {_MOST}")
        require(self.symbols >= 1, "spelled.symbols", self.symbols, "at least 1")
        words = self.task.vocab_size
        needed = next(k for k in range(1, 65) if self.base**k >= words)
        allowed = f"at least {needed}, to distinguish the {words} tokens of {self.task.name} in base {self.base}"
        require(self.symbols >= needed, "spelled.symbols", self.symbols, allowed)
        most = next((k - 1 for k in range(1, 65) if self.base**k > _MOST), 64)
        most = min(most, 127 // (len(self.task.roles) - 1))
        require(self.symbols <= most, "spelled.symbols", self.symbols, f"at most {most} in base {self.base}")

    def check_files(self) -> None:
        self.task.check_files()

    # --- a sequence, in symbols --------------------------------------------------------------------------------------

    @property
    def roles(self) -> tuple[str, ...]:
        """role/1 ... role/k for each role of the inner task, since each of its tokens has k symbols."""
        return (PADDING, *(f"{role}/{symbol}" for role in self.task.roles[1:] for symbol in range(1, self.symbols + 1)))

    @property
    def vocab_size(self) -> int:
        return self.base

    @property
    def length(self) -> int:
        return self.symbols * self.task.length

    @property
    def has_answer(self) -> bool:
        return self.task.has_answer

    @property
    def longest_answer(self) -> int:
        return self.symbols * self.task.longest_answer

    @property
    def determined(self) -> bool:
        return self.task.determined

    @property
    def splits_itself(self) -> bool:
        return self.task.splits_itself

    @property
    def headline(self) -> str:
        """The inner task's headline; a metric of a role becomes that of the first symbol, which is the hardest to predict."""
        kind, _, role = self.task.headline.partition("/")
        if kind in ("accuracy", "loss"):
            return self.task.headline if role == "all" else f"{self.task.headline}/1"
        return self.task.headline if kind in ("exact", "first", "sampled", "forced") else "loss/all"

    def word(self, token: int) -> str:
        return _SYMBOLS[token] if self.base <= len(_SYMBOLS) else f"s{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        return self.spell(self.task.draw(rng, size, split))

    def instances(self, tokens: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the inner task's instances, so that spelling does not change their splits."""
        return self.task.instances(self.read(tokens)[0])

    def instance_count(self) -> Bound | None:
        return self.task.instance_count()

    def every_instance(self) -> NDArray[np.integer] | None:
        return self.task.every_instance()

    def strata(self) -> tuple[Stratum, ...]:
        return self.task.strata()

    def stratum(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.task.stratum(self.read(tokens)[0])

    def rank(self, tokens: NDArray[np.int64]) -> Ranks | None:
        return self.task.rank(self.read(tokens)[0])

    @property
    def code(self) -> NDArray[np.int64]:
        """(W, symbols) int64, the spelling of each token of the inner task."""
        return _code(self.task.vocab_size, self.base, self.symbols)[0]

    def spell(self, batch: Batch) -> Batch:
        """Spell sequences of the inner task."""
        k, roles = self.symbols, self._spell_roles(batch.roles)
        spelled = self.rows(self.code[batch.tokens].reshape(len(batch), -1), roles, batch.answer * k)
        return replace(spelled, scored=spelled.scored & np.repeat(batch.scored, k, axis=1))

    def roles_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the inner task's roles, spelled: none for an incomplete token, and the role of token 0 for an invalid one."""
        inner = self.task.roles_of(self.read(tokens)[0])
        if inner is None:
            return None
        roles = self._spell_roles(inner)
        return np.pad(roles, ((0, 0), (0, tokens.shape[1] - roles.shape[1])))

    def _spell_roles(self, roles: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the roles of the symbols of inner tokens, (B, T k), given the roles of the tokens, (B, T)."""
        k = self.symbols
        spelled = (np.repeat(roles.astype(np.int64), k, axis=1) - 1) * k + np.tile(np.arange(1, k + 1), roles.shape[1])
        return np.where(np.repeat(roles, k, axis=1) == 0, 0, spelled)

    def read(self, symbols: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Decode sequences or prefixes into inner tokens, and return which are validly spelled, (B, T / k) each.

        An invalid spelling becomes token 0.
        """
        k = self.symbols
        whole = symbols[:, : symbols.shape[1] // k * k].reshape(len(symbols), -1, k)
        tokens = _code(self.task.vocab_size, self.base, k)[1][whole @ self.base ** np.arange(k)]
        return np.maximum(tokens, 0), tokens >= 0

    def _unspell(self, batch: Batch) -> Batch:
        """Return the sequences of the inner task: the inverse of `spell`."""
        k = self.symbols
        roles, scored = -(-batch.roles[:, ::k] // k), batch.scored[:, ::k]
        return Batch(tokens=self.read(batch.tokens)[0], roles=roles, scored=scored, answer=batch.answer // k)

    # --- bounds -----------------------------------------------------------------------------------------------

    def floor(self, role: str) -> float | None:
        """Return the inner role's floor if it is 0 or a token has one symbol, otherwise None.

        How the entropy of a token divides between its symbols depends on the token's whole distribution and on the code. The
        losses of role/1 ... role/k sum to the loss of a token, so compare their sum with the inner floor.
        """
        if self.role(role) == 0:
            return None
        inner = self.task.floor(role.rpartition("/")[0])
        return inner if self.symbols == 1 or inner == 0 else None

    def chance(self, role: str) -> float | None:
        """Return the inner role's chance if a token has one symbol, otherwise None: tokens can share a symbol."""
        return self.task.chance(role.rpartition("/")[0]) if self.symbols == 1 and self.role(role) else None

    def token_optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Compute the optimal predictor's loss on each inner token, (B, T / k); None if it is unknown."""
        return self.task.optimum(self.read(tokens)[0])

    # --- what the inner task knows, in symbols ------------------------------------------------------------------------

    def contrast(self, batch: Batch) -> Contrast | None:
        """Spell the inner task's contrast; sequences in which the changed token differs in several symbols are left out."""
        inner = self.task.contrast(self._unspell(batch))
        if inner is None:
            return None
        tokens_CT = self.code[inner.tokens].reshape(len(inner.sequence), -1)
        differs_CT = tokens_CT != batch.tokens[inner.sequence]
        is_before_CT = np.arange(self.length) < inner.answer[:, None] * self.symbols
        before_CT, after_CT = differs_CT & is_before_CT, differs_CT & ~is_before_CT
        single_C = before_CT.sum(axis=1) == 1
        return Contrast(
            sequence=inner.sequence[single_C],
            tokens=tokens_CT[single_C],
            changed=before_CT.argmax(axis=1)[single_C],
            answer=after_CT.argmax(axis=1)[single_C],
        )

    def latents(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the inner task's latents, from the last symbol of each token on."""
        found = {}
        for name, values in self.task.latents(self._unspell(batch)).items():
            unknown = np.full_like(values[:, :1], -1 if values.dtype == np.int64 else np.nan)
            whole = np.repeat(np.concatenate([unknown, values], axis=1), self.symbols, axis=1)
            found[name] = whole[:, 1 : self.length + 1]
        return found

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Sum over the inner tokens whose spellings begin with the symbols since the last complete token."""
        whole, begun = divmod(tokens.shape[1], self.symbols)
        chances_BW = self.task.next_distribution(self.read(tokens)[0]) if whole else None
        if chances_BW is None:
            return None
        fits_BW = (self.code[:, :begun] == tokens[:, None, whole * self.symbols :]).all(axis=2)
        sums_BV = (chances_BW * fits_BW) @ np.eye(self.base)[self.code[:, begun]]
        return np.asarray(sums_BV / sums_BV.sum(axis=1, keepdims=True))

    def consistent(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Ask the inner task if a token has one symbol, otherwise return None: a symbol alone is neither right nor wrong."""
        inner, valid_BT = self.read(tokens)
        consistent_BT = self.task.consistent(inner) if self.symbols == 1 else None
        return None if consistent_BT is None else consistent_BT & valid_BT

    def variants(self) -> dict[str, Task]:
        return {name: replace(self, task=task) for name, task in self.task.variants().items()}

    # --- answers, lines and samples: the inner task's ----------------------------------------------------------------

    def solve(self, prompt: NDArray[np.int64]) -> NDArray[np.int64]:
        self.check_ids(prompt)
        tokens, valid = self.read(prompt[None])
        if len(prompt) % self.symbols or not valid.all():
            raise TaskError(f"spelled: the prompt is not tokens of {self.task.name}, {self.symbols} symbols each")
        return self.code[self.task.solve(tokens[0])].reshape(-1)

    def format(self, row: Batch) -> str:
        """Write the inner task's line."""
        return self.task.format(self._unspell(row))

    def parse(self, line: str) -> Batch:
        return self.spell(self.task.parse(line))

    @property
    def sampled_from(self) -> int | None:
        begin = self.task.sampled_from
        return None if begin is None else begin * self.symbols

    def judge(self, tokens: NDArray[np.int64]) -> dict[str, float]:
        """Compute the share of validly spelled sequences, `spelt`, and the inner task's metrics of these, times this share."""
        if self.task.sampled_from is None:
            return {}
        inner, valid_BT = self.read(tokens)
        valid_B = valid_BT.all(axis=1)
        share, values = float(valid_B.mean()), self.task.judge(inner[valid_B] if valid_B.any() else inner)
        return {name: value * share for name, value in values.items()} | {"spelt": share}

    def forced(self, prefix: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Impose the tokens that the inner task imposes, symbol by symbol."""
        imposed = self.task.forced(self.read(prefix)[0])
        if imposed is None:
            return None
        return np.where(imposed < 0, -1, self.code[np.maximum(imposed, 0), prefix.shape[1] % self.symbols])

    def facts(self) -> dict[str, int]:
        return self.task.facts()

    def artifacts(self) -> dict[str, str]:
        return self.task.artifacts()


@lru_cache(maxsize=16)
def _code(words: int, base: int, symbols: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw distinct spellings of all tokens, (words, symbols), and return them with the token of each spelling, -1 for none.

    The number of a spelling is the sum of symbol j times base^j.
    """
    chosen = stream(f"spelled/{words}/{base}/{symbols}", seed=0, index=0).permutation(base**symbols)[:words]
    token_of = np.full(base**symbols, -1, dtype=np.int64)
    token_of[chosen] = np.arange(words)
    return chosen[:, None] // base ** np.arange(symbols) % base, token_of
