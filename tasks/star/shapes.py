"""Count the stars of each shape, and rank a star among those of its shape.

The shape of a star is the number of edges of the goal's arm and of each other arm, in any order. All stars of a shape are
equally likely. Shapes of arrays: B sequences, D arms, M nodes of an arm without the centre, S slots for the nodes of a star.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, factorial, lgamma, log, perm, prod

import numpy as np
from numpy.typing import NDArray

from tasks.core.splits import hash_instances
from tasks.core.strata import MOST_RANKED, Ranks

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stars:
    """All stars with these settings.

    Attributes:
        degree: Number of arms.
        shortest: Edges of the shortest arm.
        longest: Edges of the longest arm; the numbers between are equally likely for each arm.
        nodes: Number of ids to choose from.
        any_node: Whether the goal is any node of its arm, each equally likely, instead of the last.
    """

    degree: int
    shortest: int
    longest: int
    nodes: int
    any_node: bool

    @property
    def lengths(self) -> range:
        """The numbers of edges that an arm can have."""
        return range(self.shortest, self.longest + 1)

    def goals(self, length: int) -> range:
        """Return the steps from the centre to the goals that an arm of `length` edges can have."""
        return range(1 if self.any_node else length, length + 1)

    def chances(self) -> dict[int, float]:
        """Return the probability of each number of steps from the centre to the goal."""
        each = 1 / len(self.lengths)
        if not self.any_node:
            return dict.fromkeys(self.lengths, each)
        found, chance = {}, 0.0
        for steps in reversed(self.goals(self.longest)):
            chance += each / steps if steps in self.lengths else 0.0
            found[steps] = chance
        return dict(reversed(found.items()))

    def count(self) -> int:
        """Count the stars with a goal: ordered choices of nodes, divided by the orders of the other arms."""
        ways = Counter({0: 1})  # in how many ways the other arms have so many edges
        for _ in range(self.degree - 1):
            longer: Counter[int] = Counter()
            for edges, number in ways.items():
                for length in self.lengths:
                    longer[edges + length] += number
            ways = longer
        ordered = sum(
            len(self.goals(length)) * number * perm(self.nodes, 1 + length + edges)
            for length in self.lengths
            for edges, number in ways.items()
        )
        return ordered // factorial(self.degree - 1)

    def blocks(self) -> Mapping[int, Counter[int]]:
        """Count the shapes by steps to the goal and number of stars; return nothing if all shapes have many stars."""
        edges = self.degree * self.shortest  # of the shape with the fewest stars
        if lgamma(self.nodes + 1) - lgamma(self.nodes - edges) - lgamma(self.degree) > log(MOST_RANKED) + 1:
            return {}
        found: dict[int, Counter[int]] = {steps: Counter() for steps in self.chances()}
        for others in combinations_with_replacement(self.lengths, self.degree - 1):
            alike = prod(factorial(number) for number in Counter(others).values())
            for length in self.lengths:
                stars = perm(self.nodes, 1 + length + sum(others)) // alike
                for steps in self.goals(length):
                    found[steps][stars] += 1
        return found

    def rank(self, centre_B: Ints, arms_BDM: Ints, goal_B: Ints) -> Ranks:
        """Rank stars among those of the same shape and steps to the goal.

        Nodes have slots in this order: the centre, the goal's arm, the first nodes of the other arms, their later nodes. Each
        node is one of the remaining ids; the first nodes of arms of the same length are a set of these.

        Args:
            centre_B: Centres.
            arms_BDM: From `list_arms`; `nodes` or more after the end of an arm.
            goal_B: Goals.
        """
        is_goal_BDM = arms_BDM == goal_B[:, None, None]
        length_BD = (arms_BDM < self.nodes).sum(axis=2)
        key_BD = np.where(is_goal_BDM.any(axis=2), -1, length_BD * self.nodes + arms_BDM[:, :, 0])
        order_BD = key_BD.argsort(axis=1)
        arms_BDM, length_BD = arms_BDM[np.arange(len(arms_BDM))[:, None], order_BD], np.take_along_axis(length_BD, order_BD, 1)
        same_BDD = length_BD[:, 1:, None] == length_BD[:, None, 1:]
        alike_BD, number_BD = same_BDD.sum(axis=2), np.tril(same_BDD).sum(axis=2)
        rank_B = self._rank_nodes(centre_B, arms_BDM, alike_BD, number_BD)
        stars_B = self._orders[length_BD.sum(axis=1)] // number_BD.prod(axis=1)
        steps_B = 1 + is_goal_BDM.any(axis=1).argmax(axis=1)
        shape = np.concatenate([np.full((len(rank_B), 1), self.nodes), length_BD, steps_B[:, None]], axis=1)
        return Ranks(rank_B, np.where(stars_B <= MOST_RANKED, stars_B, 0), hash_instances(shape))

    def _rank_nodes(self, centre_B: Ints, arms_BDM: Ints, alike_BD: Ints, number_BD: Ints) -> Ints:
        """Rank the nodes of stars in the order of their slots, (B,).

        Args:
            centre_B: Centres.
            arms_BDM: Nodes of the arms, the goal's first.
            alike_BD: For each other arm, the number of other arms of its length.
            number_BD: For each other arm, its number among these, from 1.
        """
        size, nodes = len(arms_BDM), self.nodes
        slots_BS = np.concatenate(
            [centre_B[:, None], arms_BDM[:, 0], arms_BDM[:, 1:, 0], arms_BDM[:, 1:, 1:].reshape(size, -1)], axis=1
        )
        present_BS, choices = slots_BS < nodes, self._choices
        left_BS = nodes - (present_BS.cumsum(axis=1) - present_BS)  # the number of ids that no earlier slot has
        rank_B = np.zeros(size, dtype=np.int64)
        for slot in range(slots_BS.shape[1]):
            node_B1, left_B = slots_BS[:, slot, None], left_BS[:, slot]
            value_B = node_B1[:, 0] - (slots_BS[:, :slot] < node_B1).sum(axis=1)
            other = slot - 1 - self.longest
            if 0 <= other < self.degree - 1:  # the first node of another arm
                number_B = number_BD[:, other]
                left_B = np.where(number_B == 1, choices[left_B, alike_BD[:, other]], 1)
                value_B = choices[value_B + number_B - 1, number_B]
            rank_B = np.where(present_BS[:, slot], rank_B * left_B + value_B, rank_B)
        return rank_B

    @property
    def _orders(self) -> Ints:
        """(edges + 1,) int64, the ordered choices of the nodes of a star by its number of edges, `_capped`."""
        return _capped([perm(self.nodes, 1 + edges) for edges in range(self.degree * self.longest + 1)])

    @property
    def _choices(self) -> Ints:
        """(nodes + 1, degree) int64, the number of sets by the number of ids to choose from and of chosen ones, `_capped`."""
        return _capped([[comb(left, chosen) for chosen in range(self.degree)] for left in range(self.nodes + 1)])


def _capped(numbers: object) -> Ints:
    """Convert integers of any size to int64, at most the largest one."""
    capped: Ints = np.minimum(np.array(numbers, dtype=object), np.iinfo(np.int64).max).astype(np.int64)
    return capped
