"""Weights of choice points: counted by brute force, of optimal predictors, and of networks one term at a time."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tasks
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.choice_points import attribute_terms, choice_points, dependent_terms
from lab.model import Network, build
from tasks.maze import Maze
from tests.helpers.mazes import all_walks, graph_of
from tests.helpers.tiny import tiny


def tiny_network(heads: str = "parallel", n_future: int = 3, task: str = "induction") -> Network:
    return build(tiny(task, n_future=n_future, **{"model.heads": heads, "model.layers": 5}))


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
def test_the_count_agrees_with_brute_force(n_future: int, consequences: int) -> None:
    before, noise = (0,) * 6, list(product((0, 1), repeat=7 - consequences))
    distribution: Distribution = {}
    for bit in (0, 1):  # the choice, tokens that repeat it, then independent tokens
        for rest in noise:
            distribution[*before, bit, *(bit,) * consequences, *rest] = 0.5 / len(noise)
    assert count_terms(distribution, at=6, n_future=n_future) == dependent_terms(n_future, consequences)


SECOND = 5
"""The position of the second choice in a walk whose first token is the start."""


def second_choices() -> dict[str, Distribution]:
    """Return the walks that reach the second choice of a map, four steps after the start: for a turn and for a detour."""
    task = tasks.get("maze", turns=1, detours=1, corridor=3, nodes=16)
    assert isinstance(task, Maze)
    batch = task.draw(np.random.default_rng(0), 40, "train")
    found: dict[str, Distribution] = {}
    for number in range(40):
        sequence = batch.row(number)
        kind = task.roles[sequence.roles[0, task.sampled_from + task.block]]
        if kind in found or kind not in ("turn", "detour"):
            continue
        graph, start, goal = graph_of(task, sequence)
        walks = all_walks(graph, start, goal, task.slip)
        padded = {(*walk, *[-1] * (task.steps + 1 - len(walk))): q for walk, q in walks.items()}
        found[kind] = {walk: q for walk, q in padded.items() if walk[SECOND] != -1}
    return found


@pytest.mark.parametrize("kind", ["turn", "detour"])
def test_turns_of_a_maze_are_choice_points_but_not_detours(kind: str) -> None:
    distribution = second_choices()[kind]
    expected = dependent_terms(3) if kind == "turn" else dependent_terms(3, 0)
    assert count_terms(distribution, at=SECOND, n_future=3) == expected


@pytest.mark.parametrize("kind", ["turn", "detour"])
@pytest.mark.parametrize("n_future", range(1, 5))
def test_the_optimal_walker_follows_the_count(kind: str, n_future: int) -> None:
    distribution = second_choices()[kind]
    values = optimal_terms(distribution, n_future)
    chances = torch.tensor(list(distribution.values()), dtype=torch.float64)
    own = float((chances * values[0, :, SECOND - 1]).sum())
    weight = float((chances * attribute_terms(values)[:, SECOND]).sum()) / own
    assert weight == pytest.approx(dependent_terms(n_future, None if kind == "turn" else 0))


def test_a_choice_point_has_weight_n_times_n_plus_1_over_2() -> None:
    assert [dependent_terms(n) for n in (1, 2, 3, 4)] == [1, 3, 6, 10]
    assert [dependent_terms(n, 0) for n in (1, 2, 3, 4)] == [1, 2, 3, 4]


def optimal_terms(distribution: Distribution, n_future: int) -> torch.Tensor:
    """Compute the loss of the optimal predictor for every term and sequence, (N, B, T), by enumeration."""
    sequences = list(distribution)
    length = len(sequences[0])
    values = torch.zeros(n_future, len(sequences), length, dtype=torch.float64)
    for number, sequence in enumerate(sequences):
        for position in range(length):
            same = {other: q for other, q in distribution.items() if other[: position + 1] == sequence[: position + 1]}
            for head in range(1, min(n_future, length - 1 - position) + 1):
                right = sum(q for other, q in same.items() if other[position + head] == sequence[position + head])
                values[head - 1, number, position] = -math.log(right / sum(same.values()))
    return values


def choice_and_noise(consequences: int) -> Distribution:
    """Return a distribution: six fixed tokens, a choice of three, consequences that repeat it, and independent bits."""
    noise = list(product((0, 1), repeat=6 - consequences))
    return {(0,) * 6 + (choice,) * (1 + consequences) + rest: 1 / 3 / len(noise) for choice in range(3) for rest in noise}


@pytest.mark.parametrize("n_future", range(1, 6))
@pytest.mark.parametrize("consequences", [0, 1, 4])
def test_the_optimal_predictor_follows_the_count(n_future: int, consequences: int) -> None:
    distribution = choice_and_noise(consequences)
    values = optimal_terms(distribution, n_future)
    chances = torch.tensor(list(distribution.values()), dtype=torch.float64)
    weight = float((chances * attribute_terms(values)[:, 6]).sum() / (chances * values[0, :, 5]).sum())
    assert weight == pytest.approx(dependent_terms(n_future, consequences))
    assert weight == pytest.approx(count_terms(distribution, at=6, n_future=n_future))


def test_all_terms_are_attributed() -> None:
    """Compare with a loop over terms and the tokens between a position and its target."""
    N, B, T = 4, 3, 9
    values = torch.rand(N, B, T, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for head in range(N):
        values[head, :, T - 1 - head :] = 0
    expected = torch.zeros(B, T, dtype=torch.float64)
    for t in range(T):
        for i in range(1, min(N, T - 1 - t) + 1):
            for s in range(t + 1, t + i + 1):
                left = t + i - s
                expected[:, s] += values[left, :, s - 1] - (values[left - 1, :, s] if left else 0)
    torch.testing.assert_close(attribute_terms(values), expected)
    torch.testing.assert_close(attribute_terms(values).sum(1), values.sum((0, 2)))


def test_weights_agree_with_sums_over_single_terms() -> None:
    task = tasks.get("maze", loss_on="answer")
    network = tiny_network(n_future=3, task="maze")
    table = choice_points(network, task, sequences=6).set_index(["quantity", "role"])["value"]
    batch = task.batch(0, 0, 6, "validation")
    tokens = torch.from_numpy(batch.tokens)
    values = {quantity: torch.zeros(3, 6, task.length, dtype=torch.float64) for quantity in ("loss", "gradient")}
    for head in (1, 2, 3):
        logits = network.logits(tokens, head).detach().double().requires_grad_()
        for b, t in product(range(6), range(task.length - head)):
            if batch.scored[b, t + head]:
                loss = F.cross_entropy(logits[b, t], tokens[b, t + head])
                values["loss"][head - 1, b, t] = loss.detach()
                values["gradient"][head - 1, b, t] = torch.autograd.grad(loss, logits)[0].square().sum()
    roles = torch.from_numpy(batch.roles)
    for quantity, each in values.items():
        weights = attribute_terms(each)
        for role in ("turn", "forced", "outcome"):
            at = roles == task.role(role)
            own = sum(float(each[0, b, t - 1]) for b, t in at.nonzero().tolist())
            assert table[quantity, role] == pytest.approx(float(weights[at].sum()) / own)
            assert table[f"{quantity} share", role] == pytest.approx(float(weights[at].sum() / each.sum()))
        assert (quantity, "prompt") not in table.index, "the prompt is no target"
        assert table.loc[f"{quantity} share"].sum() == pytest.approx(1)


def test_with_one_prediction_head_every_weight_is_one() -> None:
    table = choice_points(tiny_network(n_future=1, task="agreement"), tasks.get("agreement"), sequences=8)
    assert table.loc[table["quantity"].isin(["loss", "gradient"]), "value"].to_numpy() == pytest.approx(1)


def test_heads_that_read_ahead_are_rejected() -> None:
    kind = next(name for name, each in KINDS.items() if each.teacher_forced)
    with pytest.raises(LabError, match="choice points need prediction heads that read tokens up to their position"):
        choice_points(tiny_network(kind), tasks.get("induction", vocabulary=12, period=[3, 5], length=12, test_period=None))
