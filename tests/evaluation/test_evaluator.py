"""Evaluations of a network: losses, accuracies and scores, each compared with a plain loop."""

import pytest
import torch
from torch.nn import functional as F

import lab
from lab.evaluation.evaluator import EVALUATION_SEED, Evaluator, evaluation_mode
from lab.interp.attention_scores import attention_scores, in_context_score, repeated_probe, score_metrics
from lab.model import Network, build
from tests.helpers.tiny import tiny

PARITY = "tests.helpers.users_task:Parity"


def test_losses_and_accuracies_match_a_loop_over_targets() -> None:
    experiment = tiny()
    network = build(experiment)
    values = Evaluator(experiment)(network)
    for prefix, task in {"": experiment.task, "far:": experiment.task.variants()["far"]}.items():
        batch = task.batch(EVALUATION_SEED, 0, 8, "validation")
        tokens_BT = torch.from_numpy(batch.tokens)
        collected: dict[str, list[float]] = {}
        for head in (1, 2):
            log_p = network.logits(tokens_BT, head).detach().log_softmax(-1)
            for row in range(8):
                for target in range(head, task.length):
                    token, role = int(tokens_BT[row, target]), task.roles[batch.roles[row, target]]
                    loss = -float(log_p[row, target - head, token])
                    right = float(log_p[row, target - head].argmax() == token)
                    for name in (role, "all"):
                        collected.setdefault(f"{prefix}loss/{name}/{head}", []).append(loss)
                        collected.setdefault(f"{prefix}accuracy/{name}/{head}", []).append(right)
        for name, measured in collected.items():
            assert values[name] == pytest.approx(sum(measured) / len(measured), rel=1e-5), name


def test_exact_answers_agree_with_greedy_generation() -> None:
    experiment = tiny(PARITY, task__bits=3, evaluation__examples=40)
    network = build(experiment)
    values = Evaluator(experiment)(network)
    batch = experiment.task.batch(EVALUATION_SEED, 0, 40, "validation")
    right = 0
    for tokens, (begin, end) in zip(torch.from_numpy(batch.tokens), batch.answer.tolist(), strict=True):
        generated = tokens[:begin]
        while len(generated) < end:
            generated = torch.cat([generated, network.logits(generated[None])[0, -1].argmax()[None]])
        right += int(torch.equal(generated, tokens[:end]))
    assert values["exact"] == values["first"] == right / 40


def test_measuring_keeps_mode_and_gradients() -> None:
    experiment = tiny(evaluation__measures__gradients=1)
    network = build(experiment).train()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    Evaluator(experiment)(network)
    assert network.training
    assert all((parameter.grad == 1).all() for parameter in network.parameters())


def test_the_mode_is_restored_even_after_an_error() -> None:
    network = build(tiny()).train()

    def fail() -> None:
        with evaluation_mode(network):
            assert not network.training
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    assert network.training


def test_attention_heads_are_probed_beyond_training_lengths() -> None:
    settings = {"model.width": 16, "model.layers": 3, "model.n_heads": 2, "task.length": 32, "task.period": [4, 12]}
    experiment = lab.experiment("induction", {**settings, "task.test_period": [14, 16], "evaluation.examples": 2})
    network = build(experiment)
    values = Evaluator(experiment)(network)
    for prefix, period in (("", 8), ("far:", 15)):
        scores = attention_scores(network, repeated_probe(32, 16, period, EVALUATION_SEED))
        expected = {f"{prefix}{name}": value for name, value in score_metrics(scores, period).items()}
        assert {name: values[name] for name in expected} == pytest.approx(expected)


def test_every_run_of_a_task_is_evaluated_on_the_same_data() -> None:
    network: Network = build(tiny())
    one, other = (Evaluator(tiny(seed=seed))(network) for seed in (0, 1))
    assert one == other


def test_the_total_is_over_scored_targets_alone() -> None:
    experiment = tiny(PARITY, task__bits=4, task__loss_on="answer", evaluation__examples=16)
    values = Evaluator(experiment)(build(experiment))
    assert values["loss/all/1"] == pytest.approx(values["loss/parity/1"])


def test_the_in_context_score_ignores_padding() -> None:
    experiment = tiny("stories", evaluation__examples=6)
    network = build(experiment).eval()
    batch = experiment.task.batch(EVALUATION_SEED, 0, 6, experiment.evaluation.split)
    tokens, scores = torch.from_numpy(batch.tokens), []
    with torch.no_grad():
        losses = F.cross_entropy(network.logits(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    for sequence, roles in zip(losses.view(6, -1), torch.from_numpy(batch.roles)[:, 1:], strict=True):
        scored = sequence[roles != 0]
        scores.append(in_context_score(scored[None], torch.ones(1, len(scored), dtype=torch.bool)))
    assert (batch.roles == 0).any(axis=1).all(), "every sequence is padded"
    assert Evaluator(experiment)(network)["icl"] == pytest.approx(sum(scores) / 6, rel=1e-5)
