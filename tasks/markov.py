"""In-context Markov chains (Edelman et al. 2024, statistical induction heads).

A sequence of three states:

    b a a c a a c b a a ...       in this sequence's matrix, a or c is likely after a, ...

Each sequence has its own random transition matrix, so that a model can only learn an algorithm: count what followed the last
state (or the last two) earlier in the sequence, and predict in proportion.

Shapes: B sequences, T positions, S states, C contexts (the last `order` states).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_lowercase
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.core.base import PADDING, Batch, Bound, Task
from tasks.core.categorical import cumulative_steps, draw_by_steps, find_modes
from tasks.core.rng import stream
from tasks.core.splits import MOST_LISTED
from tasks.settings import require

START, STATE = 1, 2
_FEWEST = 100
"""Least effective number of sequences, so that about six of them are in the validation split."""
_DRAWN, _COMPARED = 1000, 256
"""Number of sequences that estimate the effective number, and most of their tokens that count."""


@dataclass(frozen=True, kw_only=True)
class Markov(Task):
    """A chain of order 1 or 2 whose matrix has Dirichlet(`alpha`) rows; the first `order` states are uniform."""

    name: ClassVar[str] = "markov"
    summary: ClassVar[str] = "predict a Markov chain whose matrix must be inferred from the sequence"
    source: ClassVar[str] = "Edelman et al. 2024"
    roles = (PADDING, "start", "state")
    role_labels: ClassVar[Mapping[str, str]] = {
        "start": "initial states",
        "state": "states after the initial ones",
    }
    headline: ClassVar[str] = "kl/bayes"

    states: int = 4
    """S, states, which are the token ids."""
    order: Literal[1, 2] = 1
    """Number of previous states that the next one depends on."""
    alpha: float = 1.0
    """Dirichlet concentration of each row of the matrix; 1 is uniform over all distributions."""
    length: int = 64
    """T, tokens in a sequence."""

    def check(self) -> None:
        most = 64 if self.order == 1 else 16  # each sequence has its own matrix
        allowed = f"between 2 and {most} for order {self.order}"
        require(2 <= self.states <= most, "markov.states", self.states, allowed)
        require(0.001 <= self.alpha <= 1e9, "markov.alpha", self.alpha, "between 0.001 and 1e9")
        needed = self.order + 2
        require(self.length >= needed, "markov.length", self.length, f"at least {needed}: a transition, and one to predict")
        number = _effective_number(self)
        allowed = f"larger, or states or alpha, so that two sequences are equal with a probability of at most 1 / {_FEWEST}"
        require(number >= _FEWEST, "markov.length", self.length, f"{allowed} (about 1 / {number:.0f} here)")

    @property
    def vocab_size(self) -> int:
        return self.states

    def word(self, token: int) -> str:
        return ascii_lowercase[token] if self.states <= len(ascii_lowercase) else f"s{token}"

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        return self.label(self.draw_states(rng, size, self.length))

    def draw_states(self, rng: np.random.Generator, size: int, length: int) -> NDArray[np.int64]:
        """Draw the first states of sequences, (B, length)."""
        states, contexts = self.states, self.states**self.order
        steps_SR = cumulative_steps(rng.dirichlet(np.full(states, self.alpha), size=size * contexts))
        uniform_TB = rng.random((length, size))
        first_B = np.arange(size) * contexts  # the first distribution of each sequence
        context_B = np.zeros(size, dtype=np.int64)  # the last states as digits in base S
        tokens_TB = (uniform_TB * states).astype(np.int64)  # uniform at first
        for position in range(length):
            if position >= self.order:
                tokens_TB[position] = draw_by_steps(steps_SR, first_B + context_B, uniform_TB[position])
            context_B = (context_B * states + tokens_TB[position]) % contexts
        return np.ascontiguousarray(tokens_TB.T)

    def floor(self, role: str) -> float | None:
        """Return ln S for `start`, and None for `state`: counts grow along the sequence, so see `optimum`."""
        return float(np.log(self.states)) if self.role(role) == START else None

    def chance(self, role: str) -> float | None:
        """Return 1 / S, by symmetry."""
        return None if role == PADDING else 1 / self.states

    def optimum(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the Bayes loss: P = (c + alpha) / (n + S alpha) for a state that followed the context in c of n cases."""
        chances_BT1 = np.take_along_axis(self.predict(tokens, self.order), tokens[:, :, None], axis=2)
        return np.asarray(-np.log(chances_BT1[:, :, 0]))

    def predict(self, tokens: NDArray[np.int64], order: int) -> NDArray[np.float64]:
        """Compute the predictions of the Bayes predictor for a chain of the given order, with the task's prior.

        Order 0 counts states at all positions (unigram), order 1 after the last state (bigram), order 2 after the last two. The
        predictions are those of the true posterior if `order` is the task's.

        Args:
            tokens: (B, T) states.
            order: 0, 1 or 2.

        Returns:
            (B, T, S), the distribution of each token given those before it; uniform after fewer than `order` tokens.
        """
        (size, length), contexts = tokens.shape, self.states**order
        row_B, context_B = np.arange(size), np.zeros(size, dtype=np.int64)
        counts_BCS = np.zeros((size, contexts, self.states))
        chances_BTS = np.full((size, length, self.states), 1 / self.states)
        for position, token_B in enumerate(tokens.T):
            if position >= order:
                weight_BS = counts_BCS[row_B, context_B] + self.alpha
                chances_BTS[:, position] = weight_BS / weight_BS.sum(axis=1, keepdims=True)
                counts_BCS[row_B, context_B, token_B] += 1
            context_B = (context_B * self.states + token_B) % contexts
        return chances_BTS

    def compare(self, tokens: NDArray[np.int64], log_probs: NDArray[np.float32]) -> dict[str, float]:
        """Compute the mean divergence D(predictor || model) over all `state` targets, in nats, for four known predictors.

        The predictor of `kl/uniform` ignores the context, that of `kl/unigram` counts states, that of `kl/bigram` counts what
        followed the last state, and that of `kl/bayes` is optimal (for order 1, the bigram). The divergence is 0 for the
        predictor that the model implements, and finite for any other, since a softmax is never 0.
        """
        orders = {"unigram": 0, "bigram": 1, "bayes": self.order}
        chances = {name: self.predict(tokens, order) for name, order in orders.items()}
        chances = {"uniform": np.full((*tokens.shape, self.states), 1 / self.states), **chances}
        model_BTS = log_probs[:, self.order - 1 : -1].astype(np.float64)
        distances = {}
        for name, chances_BTS in chances.items():
            reference = chances_BTS[:, self.order :]
            distances[f"kl/{name}"] = float((reference * (np.log(reference) - model_BTS)).sum(axis=2).mean())
        return distances

    def latents(self, batch: Batch) -> Mapping[str, NDArray[np.generic]]:
        """Return `transition row`, the posterior mean of the row of the last `order` states, (B, T, S), and its mode."""
        row_BTS = self._predict_next(batch.tokens)
        row_BTS[:, : self.order - 1] = np.nan
        return {"transition row": row_BTS, "likeliest next state": find_modes(row_BTS)}

    def next_distribution(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the posterior mean of the row that the last states choose."""
        return self._predict_next(tokens)[:, -1]

    def _predict_next(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the Bayes predictor's distribution after each token, (B, T, S)."""
        return self.predict(np.pad(tokens, ((0, 0), (0, 1))), self.order)[:, 1:]

    def label(self, tokens: NDArray[np.int64]) -> Batch:
        """Label by position; all sequences are possible."""
        roles = np.where(np.arange(self.length) < self.order, START, STATE)
        return self.rows(tokens, np.broadcast_to(roles, tokens.shape))

    def instance_count(self) -> Bound:
        return Bound(self.states**self.length)

    def every_instance(self) -> NDArray[np.integer] | None:
        few = self.length * np.log(self.states) <= np.log(MOST_LISTED)
        return np.array(list(product(range(self.states), repeat=self.length))) if few else None


@cache
def _effective_number(task: Markov) -> float:
    """Estimate the effective number of sequences, 1 / the probability that two drawn sequences are equal, or a bound.

    It is the mean probability of a drawn sequence. The first `order` + 1 states are uniform, often a sufficient bound.
    """
    if task.states ** (task.order + 1) >= _FEWEST:
        return float(task.states ** (task.order + 1))
    rng = stream(f"markov/{task.states}/{task.order}/{task.alpha}", seed=0, index=0)
    tokens = task.draw_states(rng, _DRAWN, min(task.length, _COMPARED))
    return float(1 / np.exp(-task.optimum(tokens).sum(axis=1)).mean())
