"""The two-token decomposition by enumeration and closed forms; the joint distribution of a network by one pass per token."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.information import decompose_entropy, decompose_loss, information, model_joint, task_information
from lab.model import Network, NetworkSpec, build
from tests.helpers.networks import random_tokens, tiny_network
from tests.helpers.tiny import tiny


def random_joint(seed: int, size: int, zeros: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = rng.random((1, size, size)) ** 3 * (rng.random((1, size, size)) >= zeros)
    weights[0, 0, 0] += 0.1
    return weights / weights.sum()


def flip_entropy(chance: float) -> float:
    return -chance * math.log(chance) - (1 - chance) * math.log(1 - chance)


@given(seed=st.integers(0, 10**6), size=st.integers(2, 5), zeros=st.sampled_from([0.0, 0.5]))
@settings(max_examples=60, deadline=None)
def test_lemma_l3_holds_by_enumeration(seed: int, size: int, zeros: float) -> None:
    p, q = random_joint(seed, size, zeros), random_joint(seed + 1, size)
    found = decompose_loss(p, np.log(q))
    p, q = p[0], q[0]
    pairs = [(x, y) for x in range(size) for y in range(size) if p[x, y] > 0]
    p_x, p_y, q_x, q_y = p.sum(1), p.sum(0), q.sum(1), q.sum(0)
    loss_x = -sum(p_x[x] * math.log(q_x[x]) for x in range(size))
    loss_y = -sum(p_y[y] * math.log(q_y[y]) for y in range(size))
    given_y = -sum(p[x, y] * math.log(q[x, y] / q_y[y]) for x, y in pairs)
    given_x = -sum(p[x, y] * math.log(q[x, y] / q_x[x]) for x, y in pairs)
    to_product = sum(p[x, y] * math.log(p[x, y] / (q_x[x] * q_y[y])) for x, y in pairs)
    to_joint = sum(p[x, y] * math.log(p[x, y] / q[x, y]) for x, y in pairs)
    np.testing.assert_allclose(np.ravel(found), [loss_x, loss_y, given_y, to_product - to_joint, given_x], atol=1e-12)
    assert found.next + found.after == pytest.approx(found.next_given_after + 2 * found.shared + found.after_given_next)


@given(seed=st.integers(0, 10**6), size=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_a_perfect_model_has_the_entropies_of_the_data(seed: int, size: int) -> None:
    joint = random_joint(seed, size)
    np.testing.assert_allclose(decompose_loss(joint, np.log(joint)), decompose_entropy(joint), atol=1e-12)


@pytest.mark.parametrize("flip", [0.1, 0.3, 0.5])
def test_a_chain_of_two_states_has_its_closed_form(flip: float) -> None:
    stay = 1 - flip
    joint = np.array([[[stay * stay, stay * flip], [flip * flip, flip * stay]]])  # after state 0
    parts = decompose_entropy(joint)
    both = flip_entropy(2 * flip * stay)
    shared = both - flip_entropy(flip)
    expected = [flip_entropy(flip), both, flip_entropy(flip) - shared, shared, flip_entropy(flip)]
    np.testing.assert_allclose(np.ravel(parts), expected, atol=1e-12)


def test_independent_tokens_share_nothing_and_equal_tokens_all() -> None:
    first, second = random_joint(0, 4)[0, 0], random_joint(1, 4)[0, 1]
    independent = np.outer(first / first.sum(), second / second.sum())[None]
    assert decompose_entropy(independent).shared == pytest.approx(0, abs=1e-12)
    equal = np.eye(4)[None] / 4
    np.testing.assert_allclose(np.ravel(decompose_entropy(equal)), [math.log(4), math.log(4), 0, math.log(4), 0], atol=1e-12)


@pytest.mark.parametrize("heads", KINDS)
@pytest.mark.parametrize("length", [1, 7])
def test_the_joint_agrees_with_one_pass_for_each_next_token(heads: str, length: int) -> None:
    network, prefixes = tiny_network(heads).double(), random_tokens(3, length)
    joint = model_joint(network, prefixes)
    first = network.logits(prefixes)[:, -1].log_softmax(-1)
    for token in range(network.spec.vocabulary):
        further = torch.cat([prefixes, torch.full((3, 1), token)], dim=1)
        expected = first[:, token, None] + network.logits(further)[:, -1].log_softmax(-1)
        np.testing.assert_allclose(joint[:, token], expected.detach().numpy(), atol=2e-6)
    assert np.exp(joint).sum(axis=(1, 2)) == pytest.approx(1)


def test_losses_are_expectations_over_the_data() -> None:
    experiment = tiny("markov", **{"task.states": 3, "task.length": 8})
    network, task = build(experiment), experiment.task
    found = information(network, task, sequences=16).set_index(["role", "source", "quantity"])["value"]
    batch = task.batch(0, 0, 16, "validation")
    tokens = torch.from_numpy(batch.tokens)
    log_first, log_second = (network.logits(tokens, head).log_softmax(-1).detach().double().numpy() for head in (1, 2))
    first, second, entropies = [], [], []
    for position in range(6):
        joint = task.joint(batch, position)
        first.append(-(joint.sum(2) * log_first[:, position]).sum(1))
        second.append(-(joint.sum(1) * log_second[:, position]).sum(1))
        entropies.append(decompose_entropy(joint).shared)
    assert found["all", "model", "H(X)"] == pytest.approx(np.mean(first), abs=1e-6)
    assert found["all", "head 2", "H(Y)"] == pytest.approx(np.mean(second), abs=1e-6)
    assert found["all", "data", "I(X;Y)"] == pytest.approx(np.mean(entropies))
    assert found["state", "model", "H(X)"] >= found["state", "data", "H(X)"]


@pytest.mark.parametrize("heads", KINDS)
def test_teacher_forced_heads_are_left_out(heads: str) -> None:
    experiment = tiny("markov", **{"task.length": 6, "model.layers": 4, "model.heads": heads})
    frame = information(build(experiment), experiment.task, sequences=4)
    assert ("head 2" in set(frame["source"])) != KINDS[heads].teacher_forced
    single = information(build(tiny("markov", **{"task.length": 6, "n_future": 1})), experiment.task, sequences=4)
    assert set(single["source"]) == {"data", "model"}


def test_only_pairs_of_scored_targets_count() -> None:
    experiment = tiny("agreement")
    frame = information(build(experiment), experiment.task, sequences=8)
    assert list(dict.fromkeys(frame["role"])) == ["all", "stem", "case_first"]
    everywhere = task_information(experiment.task, sequences=8).set_index("role")
    assert list(everywhere.index) == ["prompt", "stem", "case_first"]
    assert everywhere["scored"].to_dict() == {"prompt": 0, "stem": 1, "case_first": 1}
    assert everywhere.loc["stem", "H(X)"] == pytest.approx(math.log(16))
    assert everywhere.loc["stem", "contexts"] == 8


def test_a_network_may_have_more_tokens_than_its_task() -> None:
    experiment = tiny("markov", **{"task.length": 6})
    spec = NetworkSpec.of(experiment)
    frame = information(Network(replace(spec, vocabulary=spec.vocabulary + 3)), experiment.task, sequences=4)
    values = frame.set_index(["role", "source", "quantity"])["value"]["all"]
    for source in ("data", "model"):
        own = values[source]
        assert own["H(X)"] == pytest.approx(own["H(X|Y)"] + own["I(X;Y)"])
        assert own["H(Y)"] == pytest.approx(own["H(Y|X)"] + own["I(X;Y)"])
    assert values["model", "H(X)"] > values["data", "H(X)"]


def test_a_task_without_joint_has_no_information() -> None:
    assert task_information(tasks.get("discovery"), sequences=4).empty


def test_unsuitable_arguments_are_named() -> None:
    hidden = tiny("star", objective__teacherless=True, n_future=1)
    large = tiny("modular", **{"task.p": 257})
    unknown = tiny("discovery", **{"task.parents": 3, "task.children": 4})
    for experiment, message in (
        (hidden, "objective.teacherless hides it"),
        (large, "at most 256 tokens, not 259"),
        (unknown, "discovery gives no joint distribution"),
    ):
        with pytest.raises(LabError, match=message):
            information(build(experiment), experiment.task, sequences=4)
