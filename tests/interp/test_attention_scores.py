"""Scores of attention heads with ideal patterns, the probe that they read, and the in-context score."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

import lab
import tasks
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.interp.attention_scores import (
    attention_scores,
    chance,
    in_context_score,
    probe_period,
    repeated_probe,
    score_metrics,
)
from lab.model import Network, build, edited, site_names


def induction(**more: object) -> Experiment:
    settings = {"model.width": 32, "model.layers": 3, "model.n_heads": 2, "task.vocabulary": 20, "task.period": [3, 6]}
    return lab.experiment("induction", {**settings, "task.test_period": None, "n_future": 2, **more})


def test_the_probe_repeats_distinct_tokens() -> None:
    probe = repeated_probe(20, 4, 8, 0)
    assert torch.equal(probe[:, :8], probe[:, 8:])
    assert all(len(set(sequence.tolist())) == 8 for sequence in probe)
    assert torch.equal(probe, repeated_probe(20, 4, 8, 0))
    assert repeated_probe(5, 2, 16, 0).shape == (2, 10)


def test_a_network_of_float64_is_scored_in_float64() -> None:
    network, probe = build(induction()), repeated_probe(20, 4, 8, 0)
    single = score_metrics(attention_scores(network, probe), 8)
    assert score_metrics(attention_scores(network.double(), probe), 8) == pytest.approx(single, abs=1e-4)


def attend(network: Network, weights: Callable[[int], list[float]]) -> AbstractContextManager[None]:
    """Give every attention head the same pattern: the weights of the keys up to each position."""

    def pattern(found_BHTT: Tensor) -> Tensor:
        length = found_BHTT.shape[-1]
        rows = [weights(position) + [0.0] * (length - 1 - position) for position in range(length)]
        return torch.tensor(rows).expand(found_BHTT.shape)

    return edited(network, {name: pattern for name in site_names(network) if name.endswith(".pattern")})


def look_back(back: int) -> Callable[[int], list[float]]:
    """Return the pattern of an ideal head that attends to the token `back` positions before."""
    return lambda position: [float(key == max(0, position - back)) for key in range(position + 1)]


def prefix_matching(network: Network, probe_BT: Tensor, back: int) -> dict[tuple[str, int], float]:
    with attend(network, look_back(back)):
        return {(score.part, score.layer): score.prefix_matching for score in attention_scores(network, probe_BT)}


def test_an_ideal_induction_head_scores_one() -> None:
    network, probe = build(induction()), repeated_probe(20, 4, 8, 0)
    first = {("trunk", 0): 1.0, ("prediction", 1): 1.0, ("prediction", 2): 0.0}
    assert prefix_matching(network, probe, back=7) == first, "period 8: the token after the last occurrence"
    second = {("trunk", 0): 0.0, ("prediction", 1): 0.0, ("prediction", 2): 1.0}
    assert prefix_matching(network, probe, back=6) == second, "one position later, which prediction head 2 needs"


def test_a_head_beyond_the_period_attends_to_last_occurrence() -> None:
    network = build(induction(**{"n_future": 5, "model.layers": 6}))
    found = prefix_matching(network, repeated_probe(20, 4, 4, 0), back=3)  # period 4: 1, or 5, positions ahead
    assert [found["prediction", head] for head in range(1, 6)] == [1.0, 0.0, 0.0, 0.0, 1.0]
    itself = prefix_matching(network, repeated_probe(20, 4, 4, 0), back=0)
    assert [found for (part, _), found in itself.items() if part == "prediction"] == [0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.teacher_forced and kind.attends(2)])
def test_a_teacher_forced_head_attends_to_the_token_it_reads(kind: str) -> None:
    found = prefix_matching(build(induction(**{"model.heads": kind})), repeated_probe(20, 4, 8, 0), back=7)
    assert found["prediction", 1] == found["prediction", 2] == 1.0


@pytest.mark.parametrize("sign", [1, -1])
def test_copying_scores_near_one_and_suppression_minus_one(sign: int) -> None:
    experiment = induction(**{"model.width": 64, "model.n_heads": 2})
    network, probe = build(experiment), repeated_probe(20, 4, 8, 0)
    with torch.no_grad():
        layer = network.trunk[0]
        embedding = torch.linalg.qr(torch.randn(64, 64))[0][:20]  # orthogonal
        network.embedding.weight.copy_(embedding * 8)
        basis = torch.linalg.qr(network.embedding.weight.T)[0]  # (64, 20): the tokens fit into one attention head of 32
        into = torch.zeros(64, 64)
        into[:20] = into[32:52] = basis.T
        layer.attention.qkv.weight[128:] = into
        layer.attention.out.weight.copy_(into.T)
        network.unembedding.weight.copy_(sign * embedding)
    with attend(network, look_back(3)):
        scores = [score.copying for score in attention_scores(network, probe) if score.part == "trunk"]
    assert all(score * sign > 0.95 for score in scores)


def test_chance_is_the_score_of_uniform_attention() -> None:
    network = build(induction())
    for period in (4, 8):
        with attend(network, lambda position: [1 / (position + 1)] * (position + 1)):
            scores = attention_scores(network, repeated_probe(20, 4, period, 0))
        assert [score.prefix_matching for score in scores] == pytest.approx([chance(period)] * 6)
    assert chance(16) == pytest.approx(0.0424, abs=1e-4)


def test_the_probe_has_a_period_of_the_task() -> None:
    """Regression: with 16 for every task, the networks of the demo were probed at a distance that training did not have."""
    shown = tasks.get("induction", length=32, period=(4, 12), test_period=(14, 16))
    assert (probe_period(shown), probe_period(shown.variants()["far"])) == (8, 15)
    assert probe_period(tasks.get("induction")) == 16
    assert probe_period(tasks.get("stories")) == 16, "a task without distances of its own"
    assert probe_period(tasks.get("modular")) == tasks.get("modular").length // 2


def test_metrics_name_every_head_and_the_best_of_each_part() -> None:
    network = build(induction())
    scores = attention_scores(network, repeated_probe(20, 4, 8, 0))
    values = score_metrics(scores, period=8)
    assert len(values) == 2 * 6 + 4 + 1
    assert values["prefix_matching/chance"] == chance(8)
    assert values["prefix_matching/prediction"] == max(
        values[f"prefix_matching/prediction.{i}/{h}"] for i in (1, 2) for h in (0, 1)
    )
    assert {f"copying/trunk.0/{h}" for h in (0, 1)} <= set(values)


@pytest.mark.parametrize("kind", KINDS)
def test_every_attention_of_a_kind_is_scored(kind: str) -> None:
    network = build(induction(**{"model.heads": kind, "model.layers": 4}))
    scores = attention_scores(network, repeated_probe(20, 4, 8, 0))
    expected = {("trunk", layer) for layer in range(len(network.trunk))}
    expected |= {("prediction", head) for head in (1, 2) if KINDS[kind].attends(head)}
    assert {(score.part, score.layer) for score in scores} == expected
    assert ("prefix_matching/prediction" in score_metrics(scores, period=8)) == KINDS[kind].attends(2)


def test_the_in_context_score_is_late_loss_minus_early_loss() -> None:
    losses = torch.linspace(3, 1, 512).expand(4, 512)
    everywhere = torch.ones(4, 512, dtype=torch.bool)
    assert in_context_score(losses, everywhere) == pytest.approx(-2 * (0.93 - 0.1), abs=0.05)
    assert in_context_score(torch.full((2, 7), math.pi), everywhere[:2, :7]) == 0.0


def test_padding_does_not_change_the_in_context_score() -> None:
    """Sequences of different length have the same score with nonsense after and between their tokens as without it."""
    torch.manual_seed(0)
    sequences = [torch.rand(length) for length in (1, 7, 30, 64)]
    losses, counted = torch.full((4, 128), 100.0), torch.zeros(4, 128, dtype=torch.bool)
    for number, sequence in enumerate(sequences):
        losses[number, : 2 * len(sequence) : 2] = sequence
        counted[number, : 2 * len(sequence) : 2] = True
    alone = [in_context_score(sequence[None], torch.ones(1, len(sequence), dtype=torch.bool)) for sequence in sequences]
    assert in_context_score(losses, counted) == pytest.approx(sum(alone) / 4)
