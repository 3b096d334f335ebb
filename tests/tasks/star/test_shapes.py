"""Counts and ranks of stars, compared with lists of all stars."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest

from tasks.core.strata import MOST_RANKED
from tasks.star.shapes import Stars

Star = tuple[int, tuple[int, ...], frozenset[tuple[int, ...]], int]
"""A star: its centre, the goal's arm, the other arms, and the goal."""

SMALL = [
    Stars(degree=2, shortest=1, longest=2, nodes=5, any_node=True),
    Stars(degree=2, shortest=1, longest=3, nodes=7, any_node=False),
    Stars(degree=2, shortest=2, longest=2, nodes=6, any_node=True),
    Stars(degree=3, shortest=1, longest=2, nodes=7, any_node=True),
    Stars(degree=5, shortest=1, longest=1, nodes=7, any_node=True),
]
EACH = pytest.mark.parametrize("stars", SMALL, ids=str)


def list_stars(stars: Stars) -> list[Star]:
    found: set[Star] = set()
    for lengths in itertools.product(stars.lengths, repeat=stars.degree):
        for ids in itertools.permutations(range(stars.nodes), 1 + sum(lengths)):
            ends = [1, *(1 + sum(lengths[: number + 1]) for number in range(stars.degree))]
            own, *others = (ids[begin:end] for begin, end in itertools.pairwise(ends))
            found |= {(ids[0], own, frozenset(others), goal) for goal in (own if stars.any_node else own[-1:])}
    return sorted(found, key=str)


def shape_of(star: Star) -> tuple[object, ...]:
    _, own, others, goal = star
    return len(own), tuple(sorted(map(len, others))), own.index(goal) + 1


@EACH
def test_stars_are_counted(stars: Stars) -> None:
    every = list_stars(stars)
    assert stars.count() == len(every)
    shapes = Counter(map(shape_of, every))
    blocks: dict[int, Counter[int]] = defaultdict(Counter)
    for (*_, steps), size in shapes.items():
        blocks[steps][size] += 1
    assert stars.blocks() == blocks


@EACH
def test_ranks_number_the_stars_of_every_shape(stars: Stars) -> None:
    every = list_stars(stars)
    rng = np.random.default_rng(0)
    arms = np.full((len(every), stars.degree, stars.longest), stars.nodes + 2)
    for row, (_, own, others, _) in enumerate(every):
        for number, arm in enumerate(rng.permutation(np.array([own, *others], dtype=object))):
            arms[row, number, : len(arm)] = arm
    centres, goals = (np.array([star[column] for star in every]) for column in (0, 3))
    ranks = stars.rank(centres, arms, goals)
    blocks = defaultdict(list)
    for star, rank, size, block in zip(every, *ranks, strict=True):
        blocks[shape_of(star)].append((rank, size, block))
    assert len(blocks) == len(set(ranks.block_B.tolist()))
    for numbered in blocks.values():
        rank, size, block = zip(*numbered, strict=True)
        assert sorted(rank) == list(range(len(rank)))
        assert set(size) == {len(rank)}
        assert len(set(block)) == 1


def test_a_shape_with_many_stars_is_not_ranked() -> None:
    stars = Stars(degree=2, shortest=1, longest=4, nodes=12, any_node=False)
    arms = np.array([[[1, 9, 9, 9], [2, 9, 9, 9]], [[1, 3, 4, 9], [2, 5, 6, 7]]])
    arms[arms == 9] = 12
    assert stars.rank(np.array([0, 0]), arms, np.array([1, 4])).size_B.tolist() == [12 * 11 * 10, 0]
    assert max(size for sizes in stars.blocks().values() for size in sizes) > MOST_RANKED


@pytest.mark.parametrize("stars", [Stars(2, 1, 50, 1000, True), Stars(10**5, 1, 2, 10**6, True), Stars(9, 1, 3, 30, False)])
def test_shapes_with_many_stars_are_not_listed(stars: Stars) -> None:
    assert stars.blocks() == {}
    assert sum(stars.chances().values()) == pytest.approx(1)


def test_goals_of_a_long_arm_share_its_probability() -> None:
    assert Stars(2, 1, 2, 9, True).chances() == pytest.approx({1: 1 / 2 + 1 / 4, 2: 1 / 4})
    assert Stars(2, 1, 2, 9, False).chances() == pytest.approx({1: 1 / 2, 2: 1 / 2})
    assert Stars(2, 3, 3, 9, True).chances() == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 1 / 3})
