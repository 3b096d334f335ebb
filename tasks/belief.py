"""Hidden Markov processes whose optimal predictor tracks a belief (Shai et al. 2024, belief states in the residual stream).

There are two processes, each with a few hidden states:

    mess3     A A C A B B B ...     three states; the state changes rarely, and mostly emits its own token (A, B or C)
    rrxor     1 0 1 0 0 0 1 ...     two random bits, then their exclusive or, repeated; the phase is hidden

The optimal predictor keeps the probability of each state given the tokens so far, its belief, and updates it at every token.

Shapes: B sequences, T positions, V vocabulary, K hidden states, N beliefs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.categorical import cumulative_steps, draw_by_steps, entropies, find_modes, stationary_distribution
from tasks.errors import TaskError
from tasks.settings import require

_CYCLE = ("first", "second", "xor")
"""Roles of rrxor by phase of the cycle, once the tokens so far determine the phase."""
_FEWEST = 1000
"""Least effective number of sequences, so that a split of 1/16 of them has its share of the likely ones."""
_MOST_BELIEFS = 50_000
"""Most different beliefs at one position for which floors are computed."""


@dataclass(frozen=True, kw_only=True)
class Belief(Task):
    """The tokens of a hidden Markov process that begins in its stationary distribution."""

    name: ClassVar[str] = "belief"
    summary: ClassVar[str] = "predict a hidden Markov process, whose states must be inferred from its tokens"
    source: ClassVar[str] = "Shai et al. 2024"
    role_labels: ClassVar[Mapping[str, str]] = {
        "token": "tokens of the process",
        "unsynchronised": "tokens before the phase is known",
        "first": "first random bit",
        "second": "second random bit",
        "xor": "exclusive or of both bits",
    }
    headline: ClassVar[str] = "kl/bayes"

    process: Literal["mess3", "rrxor"] = "mess3"
    """`mess3`: three states with noisy tokens of their own; `rrxor`: two random bits and their exclusive or."""
    move: float = 0.05
    """`mess3`: probability of moving to each of the two other states at every token."""
    own: float = 0.85
    """`mess3`: probability that the new state emits its own token; the two other tokens are equally likely."""
    length: int = 64
    """T, tokens in a sequence."""

    def check(self) -> None:
        require(0 < self.move < 1 / 2, "belief.move", self.move, "above 0 and below 0.5")
        require(0 < self.own < 1, "belief.own", self.own, "between 0 and 1, both excluded")
        require(self.length >= 3, "belief.length", self.length, "at least 3")
        number = self._effective_number()
        larger = f"larger, so that two drawn sequences are equal with a probability of at most 1 / {_FEWEST}"
        require(number >= _FEWEST, "belief.length", self.length, f"{larger} (1 / {number:.0f} here)")

    @property
    def roles(self) -> tuple[str, ...]:
        """For `rrxor` the phase of the cycle if the earlier tokens determine it, else `unsynchronised`."""
        return (PADDING, "token") if self.process == "mess3" else (PADDING, "unsynchronised", *_CYCLE)

    @property
    def vocab_size(self) -> int:
        return len(self.moves)

    @property
    def moves(self) -> NDArray[np.float64]:
        """(V, K, K) float64, the probability of emitting token v and moving to state l, given state k."""
        return self._process.moves_VKK

    def word(self, token: int) -> str:
        return "ABC"[token] if self.process == "mess3" else str(token)

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        process, states = self._process, len(self._process.stationary_K)
        uniform_TB = rng.random((self.length + 1, size))
        state_B = draw_by_steps(process.first, np.zeros(size, dtype=np.int64), uniform_TB[-1])
        tokens_TB = np.empty((self.length, size), dtype=np.int64)
        for position in range(self.length):
            tokens_TB[position], state_B = np.divmod(draw_by_steps(process.steps, state_B, uniform_TB[position]), states)
        return self.label(np.ascontiguousarray(tokens_TB.T))

    def floor(self, role: str) -> float | None:
        """Average over all beliefs that prefixes can give; None where these are too many: `mess3` with more than 10 tokens."""
        number, means = self.role(role), _means_by_role(self)
        return None if means is None or number == 0 else float(means[number, 0])

    def chance(self, role: str) -> float | None:
        """Return 1/3 for `mess3`, by symmetry, and for `rrxor` the share of the more frequent bit among the role's targets."""
        number, means = self.role(role), None if self.process == "mess3" else _means_by_role(self)
        if number == 0:
            return None
        return 1 / 3 if means is None else float(means[number, 1:].max())

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the loss of the forward algorithm; it is infinite for impossible tokens."""
        with np.errstate(divide="ignore"):
            losses: NDArray[np.float64] = -np.log(self._forward(tokens)[1])
        return losses

    def compare(self, tokens: NDArray[np.int64], log_probs: NDArray[np.float32]) -> dict[str, float]:
        """Compute the mean divergence D(predictor || model) over all targets, in nats, for three known predictors.

        The predictor of `kl/uniform` ignores the context, that of `kl/bigram` sees the last token alone, and that of
        `kl/bayes`, the optimal one, sees all tokens. The divergence is 0 for the predictor that the model implements.
        """
        last_VK = self._process.stationary_K @ self.moves
        bigram_VV = self._tokens_from(last_VK / last_VK.sum(axis=1, keepdims=True))
        predictors = {
            "uniform": np.full((*tokens.shape, self.vocab_size), 1 / self.vocab_size),
            "bigram": bigram_VV[tokens],
            "bayes": self._tokens_from(self._forward(tokens)[0]),
        }
        distances = {}
        for name, chances_BTV in predictors.items():
            reference = chances_BTV[:, :-1]
            logs = np.log(reference, where=reference > 0, out=np.zeros_like(reference))
            distances[f"kl/{name}"] = float((reference * (logs - log_probs[:, :-1])).sum(axis=2).mean())
        return distances

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `belief`, the probability of each state after the tokens so far, (B, T, K), and the `likeliest state`."""
        belief_BTK, _ = self._forward(batch.tokens)
        return {"belief": belief_BTK, "likeliest state": find_modes(belief_BTK)}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take one step of the process from the belief."""
        return self._tokens_from(self._forward(tokens)[0][:, -1])

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Label all sequences of `mess3`, and the possible ones of `rrxor`."""
        if self.process == "mess3":
            return self.rows(tokens, np.ones_like(tokens))
        belief_BTK, chance_BT = self._forward(tokens)
        for row, position in np.argwhere(chance_BT == 0)[:1]:
            raise TaskError(f"belief: token {position} cannot be {tokens[row, position]} after those before it")
        before_BTK = np.concatenate([np.tile(self._process.stationary_K, (len(tokens), 1, 1)), belief_BTK[:, :-1]], axis=1)
        return self.rows(tokens, self._roles_after(before_BTK))

    def instance_count(self) -> Bound:
        """Count all sequences of tokens; not all are possible in `rrxor`."""
        return Bound(self.vocab_size**self.length, "exact" if self.process == "mess3" else "at most")

    def _forward(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Run the forward algorithm: return the belief after each token, (B, T, K), and each token's probability, (B, T)."""
        states, row_B = len(self._process.stationary_K), np.arange(len(tokens))
        moves_KVK = self.moves.transpose(1, 0, 2).reshape(states, -1)
        belief_BK = np.tile(self._process.stationary_K, (len(tokens), 1))
        belief_BTK, chance_BT = np.empty((*tokens.shape, states)), np.empty(tokens.shape)
        for position, token_B in enumerate(tokens.T):
            after_BK = (belief_BK @ moves_KVK).reshape(len(tokens), -1, states)[row_B, token_B]
            chance_BT[:, position] = after_BK.sum(axis=1)
            belief_BK = after_BK / np.where(chance_BT[:, position] > 0, chance_BT[:, position], 1)[:, None]
            belief_BTK[:, position] = belief_BK
        return belief_BTK, chance_BT

    def _tokens_from(self, belief: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution of the next token, (..., V), at beliefs (..., K)."""
        return np.asarray(belief @ self.moves.sum(axis=2).T)

    def _roles_after(self, belief: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the role of the next token, (...), at beliefs (..., K)."""
        phase_K = self._process.phase_K
        possible = np.stack([belief[..., phase_K == phase].any(axis=-1) for phase in range(max(phase_K) + 1)], axis=-1)
        known = (possible.sum(axis=-1) == 1) & (self.process == "rrxor")
        return np.where(known, 2 + possible.argmax(axis=-1), 1)

    def _effective_number(self) -> float:
        """Return the effective number of sequences: 1 / the probability that two drawn sequences are equal."""
        stationary_K = self._process.stationary_K
        both = np.einsum("vkm,vln->klmn", self.moves, self.moves).reshape([len(stationary_K) ** 2] * 2)  # the same token twice
        with np.errstate(divide="ignore"):
            return float(1 / (np.kron(stationary_K, stationary_K) @ np.linalg.matrix_power(both, self.length)).sum())

    @property
    def _process(self) -> _Process:
        return _rrxor() if self.process == "rrxor" else _mess3(self.move, self.own)


class _Process(NamedTuple):
    """A hidden Markov process.

    Attributes:
        moves_VKK: As `Belief.moves`.
        stationary_K: The stationary distribution of the states.
        phase_K: The phase of the cycle in each state.
        first: Steps of the stationary distribution, for `draw_by_steps`.
        steps: Steps of the joint distribution of token and next state in each state, for `draw_by_steps`.
    """

    moves_VKK: NDArray[np.float64]
    stationary_K: NDArray[np.float64]
    phase_K: NDArray[np.int64]
    first: NDArray[np.float64]
    steps: NDArray[np.float64]


def _build_process(moves_VKK: NDArray[np.float64], phases: list[int]) -> _Process:
    """Build a process from its moves, and the phase of each state."""
    stationary_K = stationary_distribution(moves_VKK.sum(axis=0))
    moves_VKK.flags.writeable = stationary_K.flags.writeable = False
    steps = cumulative_steps(moves_VKK.transpose(1, 0, 2).reshape(len(phases), -1))
    return _Process(moves_VKK, stationary_K, np.array(phases), cumulative_steps(stationary_K[None]), steps)


@lru_cache(maxsize=16)
def _mess3(move: float, own: float) -> _Process:
    """Build mess3: the state stays or moves, and the new state l mostly emits its own token l."""
    to_KK = np.where(np.eye(3) == 1, 1 - 2 * move, move)
    emitted_VK = np.where(np.eye(3) == 1, own, (1 - own) / 2)
    return _build_process(to_KK * emitted_VK[:, None], [0, 0, 0])


@lru_cache(maxsize=1)
def _rrxor() -> _Process:
    """Build rrxor, with the states: before the first bit; after a first bit 0 or 1; before an exclusive or that is 0 or 1."""
    moves_VKK = np.zeros((2, 5, 5))
    for bit in range(2):
        moves_VKK[bit, 0, 1 + bit] = 1 / 2
        moves_VKK[bit, 3 + bit, 0] = 1
        for before in range(2):
            moves_VKK[bit, 1 + before, 3 + (bit ^ before)] = 1 / 2
    return _build_process(moves_VKK, [0, 1, 1, 2, 2])


@lru_cache(maxsize=16)
def _means_by_role(task: Belief) -> NDArray[np.float64] | None:
    """Average the entropy and the distribution of the next token over all targets of each role, (roles, 1 + V).

    Prefixes of each length are grouped by their belief; None if there are more than `_MOST_BELIEFS` different ones.
    """
    process = task._process
    belief_NK, weight_N = process.stationary_K[None], np.ones(1)
    sums = np.zeros((len(task.roles), 2 + task.vocab_size))
    for _ in range(1, task.length):
        after_VNK = belief_NK @ process.moves_VKK
        chance_VN = after_VNK.sum(axis=2)
        possible = np.nonzero(chance_VN)
        belief_NK, weight_N = after_VNK[possible] / chance_VN[possible][:, None], (chance_VN * weight_N)[possible]
        _, first, same = np.unique(belief_NK.round(9), axis=0, return_index=True, return_inverse=True)
        belief_NK, weight_N = belief_NK[first], np.asarray(np.bincount(same.ravel(), weights=weight_N))
        if len(belief_NK) > _MOST_BELIEFS:
            return None
        next_NV = task._tokens_from(belief_NK)
        values = np.concatenate([np.ones((len(belief_NK), 1)), entropies(next_NV)[:, None], next_NV], axis=1)
        np.add.at(sums, task._roles_after(belief_NK), weight_N[:, None] * values)
    return np.asarray(sums[:, 1:] / np.maximum(sums[:, :1], 1e-300))
