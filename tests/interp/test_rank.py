"""Effective rank, compared with closed forms."""

import math
from typing import Any

import pytest
import torch

import tasks
from lab.evaluation.evaluator import Evaluator
from lab.interp.effective_rank import effective_rank, rank_metrics
from lab.interp.rank import rank
from lab.interp.sequences import before_scored
from lab.model import build, states
from tests.helpers.tiny import tiny


def test_rank_counts_directions_of_equal_strength() -> None:
    for count in (1, 3, 5):
        directions = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
        states = torch.cat([directions[:count], -directions[:count]]) + 7.0  # the mean has no effect
        assert effective_rank(states) == pytest.approx(count)


def test_rank_weights_directions_by_singular_values() -> None:
    states = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    shares = (0.75, 0.25)
    assert effective_rank(states) == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))
    assert effective_rank(torch.ones(4, 3)) == 0


def test_rank_is_the_exponential_entropy_of_the_spectrum() -> None:
    """The states have known singular values: orthonormal columns, orthogonal to the mean, times a spectrum."""
    generator = torch.Generator().manual_seed(1)
    columns = torch.randn(50, 5, generator=generator, dtype=torch.float64)
    left = torch.linalg.qr(columns - columns.mean(0))[0]
    right = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0]
    spectrum = torch.tensor([5.0, 3.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    states = left * spectrum @ right.T + torch.randn(5, generator=generator, dtype=torch.float64)
    entropy = math.log(10) - (5 * math.log(5) + 3 * math.log(3)) / 10
    assert effective_rank(states) == pytest.approx(math.exp(entropy))
    assert effective_rank(7 * states) == pytest.approx(math.exp(entropy)), "the scale has no effect"
    assert effective_rank(states[:, :1] * torch.ones(5)) == pytest.approx(1), "all states are on a line"


@pytest.mark.parametrize(("task", "settings"), [("agreement", {}), ("star", {"objective.teacherless": True})])
def test_a_measure_agrees_with_the_instrument(task: str, settings: dict[str, Any]) -> None:
    """An evaluation and the instrument draw the same sequences if they draw equally many."""
    experiment = tiny(task, **settings, **{"n_future": 1 if settings else 2, "evaluation.measures.rank": 1})
    network = build(experiment)
    values = Evaluator(experiment)(network)
    table = rank(network, experiment.task, sequences=8).set_index("site")["value"]
    output = f"trunk.{len(network.trunk) - 1}.residual"
    assert values["effective_rank/trunk"] == pytest.approx(table[output], rel=1e-6)
    names = [name for name in values if "effective_rank" in name]
    assert names == ["effective_rank/trunk", *(f"effective_rank/prediction.{i + 1}" for i in range(network.n_future))]


def test_states_of_heads_are_taken_after_the_norm() -> None:
    network, task = build(tiny("agreement", model__heads="causal")), tasks.get("agreement")
    batch = task.batch(0, 0, 200, "validation")
    tokens, scored = torch.from_numpy(batch.tokens), torch.from_numpy(batch.scored)
    plain = rank_metrics(network, tokens, scored)
    final = states(network, tokens, ["final.1", "final.2"])
    for head in (1, 2):
        chosen = [final[f"final.{head}"][row, t] for row in range(200) for t in range(task.length - 1) if scored[row, t + 1]]
        assert plain[f"effective_rank/prediction.{head}"] == pytest.approx(effective_rank(torch.stack(chosen)), rel=1e-6)
    assert plain["effective_rank/prediction.1"] != pytest.approx(plain["effective_rank/prediction.2"], rel=1e-3)


def test_a_state_counts_if_the_next_token_is_scored() -> None:
    scored_BT = torch.tensor([[True, False, True, True], [False, True, False, False]])
    assert before_scored(scored_BT).tolist() == [[False, True, True, False], [True, False, False, False]]


def test_only_states_before_scored_tokens_count() -> None:
    network, task = build(tiny("agreement")), tasks.get("agreement")
    table = rank(network, task, sequences=64).set_index("site")["value"]
    batch = task.batch(0, 0, 64, "validation")
    embedded_BTD = states(network, torch.from_numpy(batch.tokens), ["embedding"])["embedding"]
    counted_BT = before_scored(torch.from_numpy(batch.scored))
    assert table["embedding"] == pytest.approx(effective_rank(embedded_BTD[counted_BT]), rel=1e-6)
    assert table["embedding"] != pytest.approx(effective_rank(embedded_BTD.flatten(0, 1)), rel=1e-3)
