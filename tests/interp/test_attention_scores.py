import math

import pytest
import torch

import lab
import tasks
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.interp.attention_scores import (
    attention_patterns,
    attention_scores,
    chance,
    in_context_score,
    probe_period,
    repeated_probe,
    score_metrics,
)
from lab.model import Network, build


def tiny(**more: object) -> Experiment:
    settings = {"model.width": 32, "model.layers": 3, "model.n_heads": 2, "task.vocabulary": 20, "task.period": [3, 6]}
    return lab.experiment("induction", {**settings, "task.test_period": None, "n_future": 2, **more})


def test_the_probe_repeats_distinct_tokens_and_is_always_the_same() -> None:
    probe = repeated_probe(20, 4, 8, 0)
    assert torch.equal(probe[:, :8], probe[:, 8:])
    assert all(len(set(row.tolist())) == 8 for row in probe)
    assert torch.equal(probe, repeated_probe(20, 4, 8, 0))
    assert repeated_probe(5, 2, 16, 0).shape == (2, 10)


def test_patterns_are_causal_distributions_of_every_layer() -> None:
    network = build(tiny())
    patterns = attention_patterns(network, torch.randint(20, (3, 12)))
    assert list(patterns) == ["trunk.0", "prediction.1", "prediction.2"]
    for pattern in patterns.values():
        assert pattern.shape == (3, 2, 12, 12)
        torch.testing.assert_close(pattern.sum(-1), torch.ones(3, 2, 12))
        assert not pattern.triu(1).any()
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_patterns_are_those_that_the_layer_mixes_with() -> None:
    network = build(tiny())
    tokens_BT = torch.randint(20, (2, 9))
    layer = network.trunk[0]
    with torch.no_grad():
        states = layer.attention_norm(network.embedding(tokens_BT))
        rotary = network.rotary(9, tokens_BT.device)
        values = layer.attention.project(states, rotary)[2]
        mixed = attention_patterns(network, tokens_BT)["trunk.0"] @ values
        torch.testing.assert_close(layer.attention.out(mixed.transpose(1, 2).flatten(2)), layer.attention(states, rotary))


def attend(network: Network, monkeypatch: pytest.MonkeyPatch, back: int) -> None:
    """Every attention head looks `back` places back, as an ideal head would."""

    def pattern(self: object, states_BTD: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        rows, length = states_BTD.shape[:2]
        weights = torch.zeros(length, length)
        for position in range(length):
            weights[position, max(0, position - back)] = 1.0
        return weights.expand(rows, 2, length, length)

    monkeypatch.setattr("lab.model.layers.Attention.pattern", pattern)


def test_an_ideal_induction_head_scores_one_and_a_previous_token_head_nought(monkeypatch: pytest.MonkeyPatch) -> None:
    network, probe = build(tiny()), repeated_probe(20, 4, 8, 0)
    attend(network, monkeypatch, back=7)  # of period 8: to the token after the last occurrence
    scores = {(score.part, score.layer): score.prefix_matching for score in attention_scores(network, probe)}
    assert scores == {("trunk", 0): 1.0, ("prediction", 1): 1.0, ("prediction", 2): 0.0}
    attend(network, monkeypatch, back=6)  # two places on: what prediction head 2 needs
    scores = {(score.part, score.layer): score.prefix_matching for score in attention_scores(network, probe)}
    assert scores == {("trunk", 0): 0.0, ("prediction", 1): 0.0, ("prediction", 2): 1.0}


def test_a_head_that_predicts_beyond_the_probes_period_is_asked_for_the_last_place_of_its_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = build(tiny(**{"n_future": 5, "model.layers": 6, "task.vocabulary": 20}))
    attend(network, monkeypatch, back=3)  # of period 4: where the token stands that comes 1, or 5, places on
    scores = attention_scores(network, repeated_probe(20, 4, 4, 0))
    assert {score.layer: score.prefix_matching for score in scores if score.part == "prediction"} == {
        1: 1.0,
        2: 0.0,
        3: 0.0,
        4: 0.0,
        5: 1.0,
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_a_head_that_copies_scores_near_one_and_one_that_suppresses_near_minus_one(
    monkeypatch: pytest.MonkeyPatch, sign: int
) -> None:
    experiment = tiny(**{"model.width": 64, "model.n_heads": 2})
    network, probe = build(experiment), repeated_probe(20, 4, 8, 0)
    attend(network, monkeypatch, back=3)
    with torch.no_grad():
        layer = network.trunk[0]
        embedding = torch.linalg.qr(torch.randn(64, 64))[0][:20]  # orthogonal: what is read off is what was put in
        network.embedding.weight.copy_(embedding * 8)
        basis = torch.linalg.qr(network.embedding.weight.T)[0]  # (64, 20): the tokens fit into one attention head of 32
        into = torch.zeros(64, 64)
        into[:20] = into[32:52] = basis.T
        layer.attention.qkv.weight[128:] = into
        layer.attention.out.weight.copy_(into.T)
        network.unembedding.weight.copy_(sign * embedding)
    scores = [score.copying for score in attention_scores(network, probe) if score.part == "trunk"]
    assert all(score * sign > 0.95 for score in scores)


def test_chance_is_the_score_of_evenly_spread_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    def even(self: object, states_BTD: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        rows, length = states_BTD.shape[:2]
        return (torch.ones(length, length).tril() / torch.arange(1, length + 1)[:, None]).expand(rows, 2, length, length)

    monkeypatch.setattr("lab.model.layers.Attention.pattern", even)
    for period in (4, 8):
        scores = attention_scores(build(tiny()), repeated_probe(20, 4, period, 0))
        assert [score.prefix_matching for score in scores] == pytest.approx([chance(period)] * 6)
    assert chance(16) == pytest.approx(0.0424, abs=1e-4)


def test_networks_are_probed_at_a_distance_that_their_task_has_shown() -> None:
    """AUDIT I10: at 16 for every task, the demo's networks were probed where their training never went."""
    shown = tasks.get("induction", length=32, period=(4, 12), test_period=(14, 16))
    assert (probe_period(shown), probe_period(shown.variants()["far"])) == (8, 15)
    assert probe_period(tasks.get("induction")) == 16
    assert probe_period(tasks.get("stories")) == 16, "a task without distances of its own"
    assert probe_period(tasks.get("modular")) == tasks.get("modular").length // 2


def test_metrics_name_every_head_and_the_strongest_of_each_part() -> None:
    network = build(tiny())
    scores = attention_scores(network, repeated_probe(20, 4, 8, 0))
    values = score_metrics(scores, period=8)
    assert len(values) == 2 * 6 + 4 + 1
    assert values["prefix_matching/chance"] == chance(8)
    assert values["prefix_matching/prediction"] == max(
        values[f"prefix_matching/prediction.{i}/{h}"] for i in (1, 2) for h in (0, 1)
    )
    assert {f"copying/trunk.0/{h}" for h in (0, 1)} <= set(values)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_heads_is_scored_by_the_attention_that_it_has(kind: str) -> None:
    network = build(tiny(**{"model.heads": kind, "model.layers": 4}))
    scores = attention_scores(network, repeated_probe(20, 4, 8, 0))
    places = {(score.part, score.layer) for score in scores}
    trunk = {("trunk", layer) for layer in range(len(network.trunk))}
    with_attention = kind not in ("linear", "residual")
    assert places == trunk | ({("prediction", 1), ("prediction", 2)} if with_attention else set())
    assert ("prefix_matching/prediction" in score_metrics(scores, period=8)) == with_attention


def test_a_head_that_is_told_the_next_token_must_look_where_it_was_told_it_before(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(tiny(**{"model.heads": "sequential"}))
    attend(network, monkeypatch, back=7)
    scores = attention_scores(network, repeated_probe(20, 4, 8, 0))
    assert {(score.part, score.layer): score.prefix_matching for score in scores if score.part == "prediction"} == {
        ("prediction", 1): 1.0,
        ("prediction", 2): 1.0,
    }


def test_the_in_context_score_is_late_loss_minus_early_loss() -> None:
    losses = torch.linspace(3, 1, 512).expand(4, 512)
    everywhere = torch.ones(4, 512, dtype=torch.bool)
    assert in_context_score(losses, everywhere) == pytest.approx(-2 * (0.93 - 0.1), abs=0.05)
    assert in_context_score(torch.full((2, 7), math.pi), everywhere[:2, :7]) == 0.0


def test_padding_is_no_context() -> None:
    """Rows of different length, and nonsense behind them and in between, score as the rows without it."""
    torch.manual_seed(0)
    rows = [torch.rand(length) for length in (1, 7, 30, 64)]
    losses, counted = torch.full((4, 128), 100.0), torch.zeros(4, 128, dtype=torch.bool)
    for number, row in enumerate(rows):
        losses[number, : 2 * len(row) : 2] = row
        counted[number, : 2 * len(row) : 2] = True
    alone = [in_context_score(row[None], torch.ones(1, len(row), dtype=torch.bool)) for row in rows]
    assert in_context_score(losses, counted) == pytest.approx(sum(alone) / 4)
