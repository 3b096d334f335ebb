"""Prompts, their continuations' length and a tree that tests of speculative decoding share."""

from torch import Tensor

from lab.decoding import Tree
from tests.helpers.networks import random_tokens

BUSH = Tree(((0,), (1,), (2,), (0, 1), (1, 0), (0, 0)))
"""A tree whose most probable path is last."""
N, NEW = 3, 12
"""Prediction heads, and new tokens of each sequence."""


def prompts_of(lengths: tuple[int, ...] = (1, 5, 3, 5)) -> list[Tensor]:
    return [random_tokens(1, length, seed=length)[0] for length in lengths]
