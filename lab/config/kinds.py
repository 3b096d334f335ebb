"""Kinds of prediction heads by what they are made of: enough to count parameters and FLOPs without building a network.

A new kind is one class in lab/model/heads.py, and one line in `KINDS` that says what it costs. docs/heads.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Blocks(NamedTuple):
    """What a part of a network is made of; d is the width.

    Attributes:
        layers: Whole transformer layers.
        squares: d x d matrices besides, each multiplied once with every position.
        gains: Gains of norms besides, d numbers each.
    """

    layers: int = 0
    squares: int = 0
    gains: int = 0

    def times(self, count: int) -> Blocks:
        """So many of them."""
        return Blocks(*(count * number for number in self))

    def plus(self, other: Blocks) -> Blocks:
        """Both together."""
        return Blocks(*(a + b for a, b in zip(self, other, strict=True)))


LAYER, SQUARE = Blocks(layers=1), Blocks(squares=1)


@dataclass(frozen=True)
class HeadKind:
    """A kind of prediction heads.

    Attributes:
        first: What head 1 is made of.
        further: What each of the heads 2..N is made of.
        on_path: Whether heads 2..N lie on the next-token path as well, and not head 1 alone.
        teacher_forced: Whether head i is told the tokens up to t + i - 1, in training and evaluation, and not only up to t.
        replicated: Whether each head has an unembedding of its own.
    """

    first: Blocks = LAYER
    further: Blocks = LAYER
    on_path: bool = False
    teacher_forced: bool = False
    replicated: bool = False

    def blocks(self, n_future: int) -> Blocks:
        """What all prediction heads together are made of."""
        return self.first.plus(self.further.times(n_future - 1))

    def path_layers(self, n_future: int) -> int:
        """Transformer layers of the prediction heads that the next-token path goes through."""
        return self.blocks(n_future).layers if self.on_path else self.first.layers

    def sees(self, head: int) -> str:
        """Which tokens a prediction head, counted from 1, knows when it predicts token t + head, in words."""
        ahead = f"+{head - 1}, teacher-forced" if self.teacher_forced and head > 1 else ""
        return f"tokens up to t{ahead}"


KINDS: dict[str, HeadKind] = {
    "parallel": HeadKind(),
    "linear": HeadKind(first=SQUARE, further=SQUARE),
    "replicated": HeadKind(replicated=True),
    "causal": HeadKind(),
    "anticausal": HeadKind(on_path=True),
    "sequential": HeadKind(further=Blocks(layers=1, squares=2, gains=2), teacher_forced=True),
    "residual": HeadKind(first=Blocks(), further=SQUARE),
}
