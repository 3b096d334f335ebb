"""Every kind of prediction heads: what it sees, what it trains, what it costs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import lab
from lab.config import Experiment
from lab.model import HEADS, Network, build

EVERY = pytest.mark.parametrize("kind", HEADS)
V, T = 24, 12


def tiny(kind: str = "parallel", n_future: int = 3, **more: object) -> Experiment:
    chosen = {
        "model.width": 16, "model.layers": 5, "model.n_heads": 2, "model.heads": kind,
        "task.vocabulary": V, "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", {**chosen, **more}, n_future=n_future)


def rows() -> Tensor:
    return torch.randint(V, (2, T), generator=torch.Generator().manual_seed(0))


def shared_part(network: Network) -> dict[str, Tensor]:
    """Trunk, embedding and everything that only prediction head 1 uses."""
    hidden = network(rows())[0]
    names, weights = zip(*network.named_parameters(), strict=True)
    used = torch.autograd.grad(hidden.sum(), weights, allow_unused=True, materialize_grads=True)
    behind = ("norm.", "unembedding.")  # what stands behind all heads belongs to none
    return {name: w for name, w, g in zip(names, weights, used, strict=True) if g.any() and not name.startswith(behind)}


@EVERY
@pytest.mark.parametrize("n_future", [1, 2, 3])
def test_detached_heads_send_no_gradient_back_and_predict_the_same(kind: str, n_future: int) -> None:
    network = build(tiny(kind, n_future))
    attached, detached = network(rows()), network(rows(), detached=True)
    assert torch.equal(attached, detached)
    if n_future == 1:
        return
    weights = shared_part(network)
    assert {"embedding.weight", "trunk.0.attention.qkv.weight"} <= set(weights)
    upstream = torch.randn(detached[1:].shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(detached[1:], list(weights.values()), upstream, allow_unused=True, retain_graph=True)
    assert all(gradient is None or not gradient.any() for gradient in gradients)
    attached_gradients = torch.autograd.grad(attached[1:], network.embedding.weight, upstream)
    assert attached_gradients[0].any()


@EVERY
def test_the_next_token_head_trains_as_if_the_detached_heads_were_not_there(kind: str) -> None:
    network = build(tiny(kind))
    weights = list(shared_part(network).values())
    both: list[Callable[[], Tensor]] = [lambda: network(rows())[0], lambda: network(rows(), detached=True)[0]]
    plain, detached = (torch.autograd.grad(hidden().square().sum(), weights) for hidden in both)
    assert all(torch.equal(one, other) for one, other in zip(plain, detached, strict=True))
