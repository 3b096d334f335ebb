from itertools import product

import numpy as np
import pytest

import tasks
from lab.interp.choice_points import dependent_terms
from tasks.maze import Maze
from tests.helpers.mazes import all_walks, graph_of

Law = dict[tuple[int, ...], float]


def counted(law: Law, at: int, n_future: int, first: int = 0) -> int:
    """Terms of the loss that depend on the token at a position, by brute force over a law of whole sequences.

    Position t predicts t + 1 ... t + n. A term depends on the token if, given what stands up to t, the law of its target
    changes with the token; positions t >= `first` count.
    """
    length = len(next(iter(law)))

    def depends(position: int, target: int) -> bool:
        joint: dict[tuple[int, ...], dict[int, dict[int, float]]] = {}
        for sequence, q in law.items():
            after = joint.setdefault(sequence[: position + 1], {}).setdefault(sequence[at], {})
            after[sequence[target]] = after.get(sequence[target], 0.0) + q
        for by_token in joint.values():
            conditionals = [{k: q / sum(each.values()) for k, q in each.items()} for each in by_token.values()]
            if any(c != pytest.approx(conditionals[0]) for c in conditionals[1:]):
                return True
        return False

    ahead = [(t, t + i) for t in range(first, at) for i in range(1, n_future + 1)]
    return sum(at <= target < length and depends(t, target) for t, target in ahead)


@pytest.mark.parametrize("n_future", range(1, 7))
@pytest.mark.parametrize("consequences", range(6))
def test_the_count_is_that_of_every_term_looked_at(n_future: int, consequences: int) -> None:
    quiet, noise = (0,) * 6, list(product((0, 1), repeat=7 - consequences))
    law: Law = {}
    for bit in (0, 1):  # the choice, tokens that repeat it, then tokens of their own
        for rest in noise:
            law[*quiet, bit, *(bit,) * consequences, *rest] = 0.5 / len(noise)
    assert counted(law, at=6, n_future=n_future) == dependent_terms(n_future, consequences)


@pytest.mark.parametrize("n_future", range(1, 5))
def test_turns_of_a_maze_weigh_as_choice_points_and_detours_as_transitions_without_consequences(n_future: int) -> None:
    task = tasks.get("maze", turns=1, detours=1, corridor=3, nodes=16)
    assert isinstance(task, Maze)
    batch = task.draw(np.random.default_rng(0), 40, "train")
    seen = set()
    for number in range(40):
        row = batch.row(number)
        kind = task.roles[row.roles[0, task.sampled_from + task.block]]  # of the second choice: four steps stand before it
        if kind in seen or kind not in ("turn", "detour"):
            continue
        seen.add(kind)
        graph, start, goal = graph_of(task, row)
        walks = all_walks(graph, start, goal, task.slip)
        law = {(*walk, *[-1] * (task.steps + 1 - len(walk))): q for walk, q in walks.items()}
        law = {walk: q for walk, q in law.items() if walk[task.block + 1] != -1}  # those that get as far as this choice
        expected = dependent_terms(n_future) if kind == "turn" else dependent_terms(n_future, 0)
        assert counted(law, at=1 + task.block, n_future=n_future) == expected, kind
    assert seen == {"turn", "detour"}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_a_choice_point_weighs_half_of_n_times_n_plus_1(n: int) -> None:
    assert dependent_terms(n) == n * (n + 1) // 2
    assert dependent_terms(n, 0) == n
    assert dependent_terms(n) / dependent_terms(n, 0) == (n + 1) / 2
