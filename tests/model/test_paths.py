"""The layers whose sum with the embedding is the state of a prediction head."""

import pytest
import torch

from lab.config.kinds import KINDS, LAYER, NOTHING
from lab.errors import LabError
from lab.model import states
from lab.model.paths import path_layers
from tests.helpers.networks import random_tokens, tiny_network

HEADS = [(kind, head) for kind in KINDS for head in (1, 2, 3)]
SUMS = [
    (name, head)
    for name, head in HEADS
    for kind in [KINDS[name]]
    if (kind.first if head == 1 else kind.further + kind.shared) in (LAYER, NOTHING)
]
"""Prediction heads that are made of whole layers or of nothing."""


@pytest.mark.parametrize(("kind", "head"), SUMS)
def test_the_state_of_a_head_is_the_sum_of_its_layers(kind: str, head: int) -> None:
    network, tokens_BT = tiny_network(kind), random_tokens()
    names = [f"{layer.name}.{part}" for layer in path_layers(network, head) for part in ("attention", "mlp")]
    found = states(network, tokens_BT, ["embedding", f"prediction.{head}.residual", *names])
    state = found.pop(f"prediction.{head}.residual")
    torch.testing.assert_close(torch.stack(list(found.values())).sum(0), state)


@pytest.mark.parametrize(("kind", "head"), [each for each in HEADS if each not in SUMS])
def test_other_heads_are_rejected(kind: str, head: int) -> None:
    with pytest.raises(LabError, match=f"prediction head {head} of kind {kind} is no sum of layers"):
        path_layers(tiny_network(kind), head)


def test_a_head_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(LabError, match="head must be between 1 and n_future = 3, not 4"):
        path_layers(tiny_network(), 4)
