"""Path patching: the hand-built network, and the definition by freezing all components but sender and receiver."""

from itertools import product

import pytest
import torch

from lab.errors import LabError
from lab.interp.components import Component, components, substitute
from lab.interp.patching import patch_position
from lab.interp.path_patching import INPUTS, patch_path
from lab.model import Network, edited, states
from tests.helpers.induction_network import INDUCTION, PREVIOUS, induction_network
from tests.helpers.networks import LAYERED, random_tokens, tiny_network

TOKENS, SOURCES = random_tokens(3, seed=0), random_tokens(3, seed=1)
FINAL = Component("prediction head", "prediction.1")
HEADS = [(f"trunk.{layer}", head) for layer in (0, 1) for head in range(4)]


def head_of(site: str, number: int) -> Component:
    return Component("attention head", site, number)


@pytest.mark.parametrize("through", INPUTS)
@torch.no_grad()
def test_the_circuit_is_one_path_through_keys(through: str) -> None:
    """In A B ... A without the first A the induction head finds B only through the output of the previous-token head."""
    network, clean_BT = induction_network(), (torch.arange(11) % 6)[None]
    corrupted_BT = clean_BT.clone()
    corrupted_BT[0, 2] = 9
    gained = {}
    for (site, number), receiver in product(HEADS[:4], range(4)):
        both = head_of(site, number), head_of("trunk.1", receiver)
        logits_BTV = patch_path(network, corrupted_BT, clean_BT, *both, through=[through])
        gained[number, receiver] = float((logits_BTV - network.logits(corrupted_BT))[0, 8, 3])
    found = {path: value for path, value in gained.items() if abs(value) > 1e-4}
    assert found.keys() == ({(PREVIOUS, INDUCTION)} if through == "keys" else set())
    assert all(value > 1 for value in found.values())


def test_the_answer_is_sent_by_the_induction_head_alone() -> None:
    network, clean_BT = induction_network(), (torch.arange(11) % 6)[None]
    corrupted_BT = clean_BT.clone()
    corrupted_BT[0, 3] = 9
    for site, number in HEADS:
        predicted = patch_path(network, corrupted_BT, clean_BT, head_of(site, number), FINAL)[0, 8].argmax()
        assert predicted == (3 if (site, number) == ("trunk.1", INDUCTION) else 9)


@torch.no_grad()
def logits_with_frozen_components(network: Network, sender: Component, receiver: Component, head: int) -> torch.Tensor:
    """Compute the receiver's output with all other components frozen, patch it into another pass, and return the logits."""
    each = [part for part in components(network, head) if part.kind in ("attention", "mlp")]
    names = [name for part in each for name in part.activations]
    clean = states(network, TOKENS, names)
    edits = {name: (lambda _, value=clean[name]: value) for name in names}
    (name,) = sender.activations
    source = states(network, SOURCES, [name])[name]
    if sender.kind == "attention head":
        module = dict(network.named_modules())[f"trunk.{sender.site[-1]}.attention"]
        own = states(network, TOKENS, [name])[name]
        mixed = substitute(source, sender.attention_head)(own)
        edits[f"{sender.site}.attention"] = lambda _: module.out(mixed.flatten(2))
    else:
        edits[name] = lambda _: source
    (read,) = receiver.activations
    with edited(network, edits):
        received = states(network, TOKENS, [read])[read]
    with edited(network, {read: substitute(received, receiver.attention_head)}):
        return network.logits(TOKENS, head)


@pytest.mark.parametrize("kind", LAYERED)
@pytest.mark.parametrize("head", [1, 2])
@pytest.mark.parametrize(
    "sender",
    [head_of("trunk.0", 1), Component("mlp", "trunk.0"), Component("attention", "trunk.1")],
    ids=lambda each: each.kind,
)
def test_a_path_agrees_with_all_other_components_frozen(kind: str, head: int, sender: Component) -> None:
    network = tiny_network(kind, 2)
    for receiver in (
        head_of("trunk.2", 0),
        head_of(f"prediction.{head}", 1),
        Component("prediction head", f"prediction.{head}"),
    ):
        found = patch_path(network, TOKENS, SOURCES, sender, receiver, head=head)
        torch.testing.assert_close(found, logits_with_frozen_components(network, sender, receiver, head), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(found, network.logits(TOKENS, head), atol=1e-3)


def test_the_last_component_has_one_path() -> None:
    network, sender = tiny_network(), Component("mlp", "prediction.1")
    every = torch.stack(
        [patch_position(network, TOKENS, SOURCES, "prediction.1.mlp", t)[:, t] for t in range(TOKENS.shape[1])], 1
    )
    torch.testing.assert_close(patch_path(network, TOKENS, SOURCES, sender, FINAL), every)


def test_patching_with_the_same_sequence_changes_nothing() -> None:
    network = tiny_network()
    found = patch_path(network, TOKENS, TOKENS, head_of("trunk.0", 0), head_of("trunk.1", 1))
    torch.testing.assert_close(found, network.logits(TOKENS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sender", "receiver", "through", "message"),
    [
        (Component("layer", "trunk.0"), FINAL, INPUTS, "sender must be an attention head, attention or mlp, not layer"),
        (head_of("trunk.0", 0), Component("mlp", "trunk.1"), INPUTS, "receiver must be an attention head or prediction head"),
        (head_of("trunk.0", 2), FINAL, INPUTS, "sender.attention_head must be between 0 and 1, not 2"),
        (
            head_of("trunk.1", 0),
            head_of("trunk.1", 1),
            INPUTS,
            "receiver.site must be one of trunk.2, prediction.1 after",
        ),
        (head_of("prediction.1", 0), head_of("trunk.1", 1), INPUTS, "no attention head reads prediction.1"),
        (head_of("trunk.9", 0), FINAL, INPUTS, "sender.site must be one of trunk.0, "),
        (
            head_of("trunk.0", 0),
            Component("prediction head", "prediction.2"),
            INPUTS,
            "receiver.site must be one of prediction.1",
        ),
        (head_of("trunk.0", 0), head_of("trunk.1", 1), ["key"], "through must be some of queries, keys, values, not key"),
        (head_of("trunk.0", 0), head_of("trunk.1", 1), [], "through must be some of queries, keys, values, not nothing"),
    ],
)
def test_paths_that_do_not_exist_are_rejected(sender: Component, receiver: Component, through: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        patch_path(tiny_network(), TOKENS, SOURCES, sender, receiver, through=through)
