"""The gradient audit against plain autograd, one target at a time."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lab.evaluation.gradient_diagnostics import GradientAudit
from torch.nn import functional as F

import lab
from lab.config import Experiment
from lab.evaluation.evaluator import EVALUATION_SEED
from lab.model import Network, build
from tests.helpers.networks import trunk_output

Make = Callable[..., Experiment]


def tiny(**changed: object) -> Experiment:
    settings: dict[str, object] = {
        "model.width": 8, "model.layers": 5, "model.n_heads": 2, "task.vocabulary": 12, "task.period": [3, 5],
        "task.length": 12, "task.test_period": None, "steps": 12, "batch_size": 3, "schedule.warmup_steps": 3,
        "evaluation.every": 2, "evaluation.examples": 4, "n_future": 3, "accelerator": "cpu", "evaluation.gradient_audit": 1,
        "checkpoint.seconds": 0.0,
    }  # fmt: skip
    return lab.experiment("induction", settings | {name.replace("__", "."): value for name, value in changed.items()})


def target_gradients(
    experiment: Experiment, network: Network
) -> dict[tuple[int, str], tuple[torch.Tensor, list[torch.Tensor]]]:
    """For each (head, role): gradient of its part of the head's mean loss at the trunk's output, in each layer of the trunk and
    in each prediction head's."""
    batch = experiment.task.batch(EVALUATION_SEED, 0, experiment.batch_size, "validation")
    tokens = torch.from_numpy(batch.tokens)
    states = trunk_output(network, tokens)
    heads = range(1, experiment.n_future + 1)
    hidden = network.norm(torch.stack(network.heads(states, heads, network.resolve(tokens))))
    found = {}
    for i in range(1, experiment.n_future + 1):
        places = [(b, t) for b in range(len(tokens)) for t in range(tokens.shape[1] - i) if batch.scored[b, t + i]]
        for number, role in enumerate(experiment.task.roles):
            chosen = [(b, t) for b, t in places if batch.roles[b, t + i] == number]
            if chosen:
                each = [F.cross_entropy(network.unembedding.weight @ hidden[i - 1, b, t], tokens[b, t + i]) for b, t in chosen]
                loss = torch.stack(each).sum() / len(places)
                (of_output,) = torch.autograd.grad(loss, states, retain_graph=True)
                layers = [
                    torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True, materialize_grads=True)
                    for layer in (*network.trunk, *network.heads.layers)
                ]
                found[i, role] = of_output.flatten(), [torch.cat([g.flatten() for g in layer]) for layer in layers]
    return found


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()))


@pytest.mark.parametrize("kind", ["parallel", "causal"])
def test_norms_cosines_and_shares_are_those_of_plain_autograd(kind: str) -> None:
    experiment = tiny(objective__weights=[1, 0.5, 2], model__heads=kind)
    network = build(experiment)
    values = GradientAudit(experiment)(network, 4)
    parts = target_gradients(experiment, network)
    roles = sorted({role for _, role in parts})
    output = {i: sum(parts[i, role][0] for role in roles) for i in (1, 2, 3)}
    expected = {f"gradient/trunk/{i}": float(gradient.norm()) for i, gradient in output.items()}
    expected |= {f"gradient/cosine/trunk/{i}/{j}": cosine(output[i], output[j]) for i, j in ((1, 2), (1, 3), (2, 3))}
    trunk = [f"trunk.{number}" for number in range(len(network.trunk))]
    for number, place in enumerate([*trunk, "prediction.1", "prediction.2", "prediction.3"]):
        inside = {i: sum(parts[i, role][1][number] for role in roles) for i in (1, 2, 3)}
        reach = [
            i
            for i in inside
            if place in trunk or f"prediction.{i}" == place or (kind == "causal" and f"prediction.{i}" > place)
        ]
        expected |= {f"gradient/{place}/{i}": float(inside[i].norm()) for i in reach}
        expected |= {
            f"gradient/cosine/{place}/{i}/{j}": cosine(inside[i], inside[j]) for i, j in itertools.combinations(reach, 2)
        }
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


@pytest.mark.parametrize("settings", [
    {"n_future": 1}, {"objective__name": "shuffled", "accumulate": 3}, {"objective__name": "order", "objective__active": "up"},
    {"objective__detached": True, "precision": "bfloat16"}, {"model__heads": "replicated"}, {"model__heads": "causal"},
])  # fmt: skip
def test_an_audited_run_trains_as_one_that_is_not(tmp_path: Path, settings: dict[str, object]) -> None:
    audited = lab.train(tiny(evaluation__gradient_audit=2, **settings), tmp_path / "audited")
    plain = lab.train(tiny(evaluation__gradient_audit=None, **settings), tmp_path / "plain")
    assert (audited.path / "model.safetensors").read_bytes() == (plain.path / "model.safetensors").read_bytes()
    rest = [row for row in audited.metrics() if not row.metric.startswith("gradient/")]
    assert rest == plain.metrics()
    assert sorted({row.step for row in audited.metrics() if row.metric == "gradient/trunk/1"}) == [0, 4, 8, 12]


@pytest.mark.parametrize("kind", ["parallel", "replicated", "sequential"])
def test_shares_sum_to_one(kind: str) -> None:
    experiment = tiny(model__heads=kind)
    values = GradientAudit(experiment)(build(experiment), 0)
    for who in ("1", "2", "3", "all"):
        shares = [value for name, value in values.items() if name.startswith("gradient/share/") and name.endswith(f"/{who}")]
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_targets_of_several_roles_have_no_share() -> None:
    experiment = tiny(objective__name="bag")
    values = GradientAudit(experiment)(build(experiment), 0)
    assert not [name for name in values if "share" in name]
    assert values["gradient/trunk/2"] > 0


def test_of_detached_heads_the_whole_is_head_1s() -> None:
    experiment = tiny(objective__detached=True)
    values = GradientAudit(experiment)(build(experiment), 0)
    assert values["gradient/trunk/2"] > 0, "what it would ask, were it not detached"
    for role in ("new", "copy"):
        assert values[f"gradient/share/{role}/all"] == pytest.approx(values[f"gradient/share/{role}/1"])


def test_under_a_schedule_the_whole_is_what_the_objective_weighs_at_that_step() -> None:
    experiment = tiny(objective__active=[[0, 1], [6, 3]])
    audit, network = GradientAudit(experiment), build(experiment)
    before, after = audit(network, 4), audit(network, 6)
    for role in ("new", "copy"):
        assert before[f"gradient/share/{role}/all"] == pytest.approx(before[f"gradient/share/{role}/1"])
        assert after[f"gradient/share/{role}/all"] != pytest.approx(before[f"gradient/share/{role}/all"], rel=1e-3)


def test_the_last_point_is_audited_whatever_the_distance() -> None:
    experiment = tiny(evaluation__gradient_audit=4)
    audit, network = GradientAudit(experiment), build(experiment)
    assert [step for step in range(0, 13, 2) if audit(network, step)] == [0, 8, 12]


def test_the_rows_are_those_of_one_forward_pass_from_the_evaluations_split() -> None:
    network = build(tiny())
    plain = GradientAudit(tiny(batch_size=12))(network, 0)
    assert GradientAudit(tiny(batch_size=24, accumulate=2))(network, 0) == plain
    assert GradientAudit(tiny(batch_size=24))(network, 0) != plain
    assert GradientAudit(tiny(batch_size=12, evaluation__split="test"))(network, 0) != plain


def test_a_teacherless_network_is_audited_with_its_answers_hidden() -> None:
    settings = {"model.width": 8, "model.layers": 3, "model.n_heads": 2, "evaluation.gradient_audit": 1, "batch_size": 4}
    experiment = lab.experiment("star", {**settings, "objective.teacherless": True}, n_future=1)
    network, shown = build(experiment), []
    network.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0]))
    GradientAudit(experiment)(network, 0)
    hidden = shown[-1] == experiment.task.vocab_size
    answer = torch.from_numpy(experiment.task.batch(EVALUATION_SEED, 0, 4, "validation").answer)
    assert hidden.sum(1).tolist() == (answer[:, 1] - answer[:, 0]).tolist()
    assert hidden.any(1).all()
