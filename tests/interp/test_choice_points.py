from itertools import product

import numpy as np
import pytest

import tasks
from lab.interp.choice_points import dependent_terms
from tasks.maze import Maze
from tests.helpers.mazes import all_walks, graph_of

Distribution = dict[tuple[int, ...], float]


def count_terms(distribution: Distribution, at: int, n_future: int) -> int:
    """Count, by brute force, the terms of the loss that depend on the token at a position.

    Position t predicts t + 1 ... t + n. A term depends on the token if, given the tokens up to t, the distribution of its
    target changes with the token.
    """
    length = len(next(iter(distribution)))

    def depends(position: int, target: int) -> bool:
        joint: dict[tuple[int, ...], dict[int, dict[int, float]]] = {}
        for sequence, q in distribution.items():
            after = joint.setdefault(sequence[: position + 1], {}).setdefault(sequence[at], {})
            after[sequence[target]] = after.get(sequence[target], 0.0) + q
        for by_token in joint.values():
            conditionals = [{k: q / sum(each.values()) for k, q in each.items()} for each in by_token.values()]
            if any(c != pytest.approx(conditionals[0]) for c in conditionals[1:]):
                return True
        return False

    terms = [(t, t + i) for t in range(at) for i in range(1, n_future + 1)]
    return sum(at <= target < length and depends(t, target) for t, target in terms)


@pytest.mark.parametrize(("n_future", "consequences"), [(1, 0), (2, 2), (4, 1), (4, 5)])
def test_the_count_is_that_of_brute_force(n_future: int, consequences: int) -> None:
    before, noise = (0,) * 6, list(product((0, 1), repeat=7 - consequences))
    distribution: Distribution = {}
    for bit in (0, 1):  # the choice, tokens that repeat it, then independent tokens
        for rest in noise:
            distribution[*before, bit, *(bit,) * consequences, *rest] = 0.5 / len(noise)
    assert count_terms(distribution, at=6, n_future=n_future) == dependent_terms(n_future, consequences)


def test_turns_of_a_maze_are_choice_points_and_detours_not() -> None:
    task = tasks.get("maze", turns=1, detours=1, corridor=3, nodes=16)
    assert isinstance(task, Maze)
    batch = task.draw(np.random.default_rng(0), 40, "train")
    seen = set()
    for number in range(40):
        row = batch.row(number)
        kind = task.roles[row.roles[0, task.sampled_from + task.block]]  # of the second choice, four steps after the start
        if kind in seen or kind not in ("turn", "detour"):
            continue
        seen.add(kind)
        graph, start, goal = graph_of(task, row)
        walks = all_walks(graph, start, goal, task.slip)
        distribution = {(*walk, *[-1] * (task.steps + 1 - len(walk))): q for walk, q in walks.items()}
        distribution = {
            walk: q for walk, q in distribution.items() if walk[task.block + 1] != -1
        }  # those that reach the choice
        expected = dependent_terms(3) if kind == "turn" else dependent_terms(3, 0)
        assert count_terms(distribution, at=1 + task.block, n_future=3) == expected, kind
    assert seen == {"turn", "detour"}


def test_a_choice_point_weighs_half_of_n_times_n_plus_1() -> None:
    assert [dependent_terms(n) for n in (1, 2, 3, 4)] == [1, 3, 6, 10]
    assert [dependent_terms(n, 0) for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
