"""Prediction heads that are stacked into one layer have the states, keys and values of the separate heads."""

import pytest
import torch

from lab.config.kinds import KINDS
from lab.model import Context
from lab.model.cache import Cache
from lab.model.stacked import StackedLayers
from tests.helpers.networks import random_tokens, tiny_network

B, N, CAPACITY = 3, 4, 16
STACKABLE = [name for name, kind in KINDS.items() if kind.stackable]
EVEN, RAGGED = [(5, 5, 5), (2, 2, 2), (1, 1, 1), (4, 4, 4)], [(5, 2, 4), (1, 1, 1), (3, 1, 4), (1, 4, 2)]


@pytest.mark.parametrize("scale", [1.0, 1e-3], ids=["plain", "small"])
@pytest.mark.parametrize("accepted", [EVEN, RAGGED], ids=["even", "ragged"])
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("kind", STACKABLE)
@torch.no_grad()
def test_a_stack_equals_its_layers_with_a_cache(kind: str, mlp: str, accepted: list[tuple[int, ...]], scale: float) -> None:
    """Sequences accept parts of pieces of 5 tokens; the heads are computed at the last accepted token, for small states too."""
    network = tiny_network(kind, N, model__mlp=mlp, model__inner_width=20, model__norm_epsilon=1e-4).double()
    cache = Cache(B, CAPACITY + 5)
    network.embedding.weight.mul_(scale)  # small enough for the epsilon of norms to matter
    stack = StackedLayers(network.heads.layers[1:], "stack")
    for number, counts in enumerate(accepted):
        count_B, before_B = torch.tensor(counts), cache.lengths_B
        trunk_BTD, context = network.forward_trunk(random_tokens(B, 5, seed=number), Context(cache=cache))
        expected_NBTD = torch.stack(network.heads(trunk_BTD, range(2, N + 1), context))
        cache.cut(before_B + count_B)
        found_NBD = stack(trunk_BTD, context, count_B - 1)
        torch.testing.assert_close(found_NBD, expected_NBTD[:, range(B), count_B - 1], rtol=0, atol=1e-10)
    alone = torch.cat([cache.pairs[f"prediction.{head}.attention"] for head in range(2, N + 1)], dim=2)
    for b, length in enumerate(cache.lengths_B.tolist()):
        found = cache.pairs["stack"][:, b, :, :length]
        torch.testing.assert_close(found, alone[:, b, :, :length], rtol=0, atol=1e-10)
