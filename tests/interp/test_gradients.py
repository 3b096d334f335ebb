"""Gradient diagnostics, compared with plain autograd over one target at a time."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS, LAYER
from lab.evaluation.batch import EVALUATION_SEED, to_evaluation_batch
from lab.evaluation.measures import measure_gradients
from lab.model import Network, build
from tests.helpers.networks import LAYERED, trunk_output
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process  # seconds each


def experiment_of(**changes: Any) -> Experiment:
    return tiny(**{"n_future": 3, "model__layers": 5, "batch_size": 3, **changes})


def measure(experiment: Experiment, network: Network | None = None, step: int = 0) -> dict[str, float]:
    batch = experiment.task.batch(EVALUATION_SEED, 0, 2, "validation")
    evaluated = replace(to_evaluation_batch(experiment, experiment.task, batch), step=step)
    return measure_gradients(build(experiment) if network is None else network, evaluated)


Gradients = dict[tuple[int, str], tuple[torch.Tensor, list[torch.Tensor]]]


def gradients_by_role(experiment: Experiment, network: Network) -> Gradients:
    """Compute the gradient of each role's part of each head's mean loss, by (head, role): at the trunk's output, in layers."""
    batch = experiment.task.batch(EVALUATION_SEED, 0, experiment.batch_size, "validation")
    tokens = torch.from_numpy(batch.tokens)
    states = trunk_output(network, tokens)
    hidden = network.norm(torch.stack(network.heads(states, [1, 2, 3], network.complete_context(tokens))))
    found = {}
    for i in (1, 2, 3):
        targets = [(b, t) for b in range(len(tokens)) for t in range(tokens.shape[1] - i) if batch.scored[b, t + i]]
        for number, role in enumerate(experiment.task.roles):
            selected = [(b, t) for b, t in targets if batch.roles[b, t + i] == number]
            if selected:
                logits = {(b, t): network.unembedding.weight @ hidden[i - 1, b, t] for b, t in selected}
                loss = sum(F.cross_entropy(logits[b, t], tokens[b, t + i]) for b, t in selected) / len(targets)
                (at_output,) = torch.autograd.grad(loss, states, retain_graph=True)
                layers = [
                    torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True, materialize_grads=True)
                    for layer in (*network.trunk, *network.heads.layers)
                ]
                found[i, role] = at_output.flatten(), [torch.cat([g.flatten() for g in layer]) for layer in layers]
    return found


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()))


@pytest.mark.parametrize("kind", LAYERED)
def test_values_agree_with_plain_autograd(kind: str) -> None:
    experiment = experiment_of(objective__weights=[1, 0.5, 2], model__heads=kind)
    network = build(experiment)
    values, parts = measure(experiment, network, 4), gradients_by_role(experiment, network)
    roles = sorted({role for _, role in parts})
    output = {i: sum(parts[i, role][0] for role in roles) for i in (1, 2, 3)}
    expected = {f"gradient/trunk/{i}": float(gradient.norm()) for i, gradient in output.items()}
    expected |= {f"gradient/cosine/trunk/{i}/{j}": cosine(output[i], output[j]) for i, j in ((1, 2), (1, 3), (2, 3))}
    trunk = [f"trunk.{number}" for number in range(len(network.trunk))]
    for number, name in enumerate([*trunk, "prediction.1", "prediction.2", "prediction.3"]):
        inside = {i: sum(parts[i, role][1][number] for role in roles) for i in (1, 2, 3)}
        affected = [i for i in inside if inside[i].any()]
        expected |= {f"gradient/{name}/{i}": float(inside[i].norm()) for i in affected}
        expected |= {
            f"gradient/cosine/{name}/{i}/{j}": cosine(inside[i], inside[j]) for i, j in itertools.combinations(affected, 2)
        }
    of_others = {f"gradient/prediction.{layer}/{head}" for layer, head in itertools.permutations((1, 2, 3), 2)}
    assert of_others.isdisjoint(expected) == KINDS[kind].independent
    whole = output[1] + 0.5 * output[2] + 2 * output[3]
    for role in roles:
        for i in (1, 2, 3):
            expected[f"gradient/share/{role}/{i}"] = float(parts[i, role][0] @ output[i] / output[i].norm() ** 2)
        part = parts[1, role][0] + 0.5 * parts[2, role][0] + 2 * parts[3, role][0]
        expected[f"gradient/share/{role}/all"] = float(part @ whole / whole.norm() ** 2)
    assert set(values) == set(expected)
    assert len(roles) >= 2
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize(
    "settings",
    [
        {"n_future": 1},
        {"objective__name": "shuffled", "grad_accum_steps": 3},
        {"objective__name": "order", "objective__active": "up"},
        {"objective__detached": True, "precision": "bfloat16"},
        {"model__heads": "replicated"},
    ],
    ids=str,
)
def test_diagnostics_do_not_change_training(tmp_path: Path, settings: dict[str, Any]) -> None:
    measured = lab.train(experiment_of(steps=6, evaluation__measures={"gradients": 1}, **settings), tmp_path / "measured")
    plain = lab.train(experiment_of(steps=6, **settings), tmp_path / "plain")
    assert (measured.path / "model.safetensors").read_bytes() == (plain.path / "model.safetensors").read_bytes()
    assert [row for row in measured.metrics() if not row.metric.startswith("gradient/")] == plain.metrics()
    assert sorted({row.step for row in measured.metrics() if row.metric == "gradient/trunk/1"}) == [0, 3, 6]


@pytest.mark.parametrize("kind", KINDS)
def test_shares_sum_to_one(kind: str) -> None:
    values = measure(experiment_of(model__heads=kind))
    for head in ("1", "2", "3", "all"):
        shares = [value for name, value in values.items() if name.startswith("gradient/share/") and name.endswith(f"/{head}")]
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)
    assert ("gradient/prediction.2/2" in values) == (KINDS[kind].further.layers == LAYER.layers)


def test_targets_of_several_roles_have_no_share() -> None:
    values = measure(experiment_of(objective__name="bag"))
    assert not [name for name in values if "share" in name]
    assert values["gradient/trunk/2"] > 0


def test_the_total_with_detached_heads_is_that_of_head_1() -> None:
    values = measure(experiment_of(objective__detached=True))
    assert values["gradient/trunk/2"] > 0, "the gradient is that of an attached head"
    for role in ("new", "copy"):
        assert values[f"gradient/share/{role}/all"] == pytest.approx(values[f"gradient/share/{role}/1"])


def test_the_total_follows_the_schedule() -> None:
    experiment = experiment_of(objective__active=[[0, 1], [6, 3]])
    network = build(experiment)
    before, after = measure(experiment, network, 4), measure(experiment, network, 6)
    for role in ("new", "copy"):
        assert before[f"gradient/share/{role}/all"] == pytest.approx(before[f"gradient/share/{role}/1"])
        assert after[f"gradient/share/{role}/all"] != pytest.approx(before[f"gradient/share/{role}/all"], rel=1e-3)


def test_the_sequences_are_those_of_one_microbatch() -> None:
    network = build(experiment_of())
    plain = measure(experiment_of(batch_size=12), network)
    assert measure(experiment_of(batch_size=24, grad_accum_steps=2), network) == plain
    assert measure(experiment_of(batch_size=24), network) != plain
    assert measure(experiment_of(batch_size=12, evaluation__split="test"), network) != plain


def test_the_answers_are_hidden_from_a_teacherless_network() -> None:
    experiment = tiny("star", n_future=1, objective__teacherless=True)
    network, inputs = build(experiment), []
    network.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    measure(experiment, network)
    hidden = inputs[-1] == experiment.task.vocab_size
    answer = torch.from_numpy(experiment.task.batch(EVALUATION_SEED, 0, 4, "validation").answer)
    assert hidden.sum(1).tolist() == (answer[:, 1] - answer[:, 0]).tolist()
    assert hidden.any(1).all()
