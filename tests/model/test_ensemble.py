import pytest
import torch
from torch import nn

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.model import Context, Network, build
from lab.model.ensemble import member_state, stack

MEMBERS, SEQUENCES = 3, 4


def experiment(**changed: object) -> Experiment:
    settings = {"model.width": 16, "model.layers": 5, "model.n_heads": 2, "task.length": 24, "task.period": [4, 8]}
    return lab.experiment("induction", {**settings, "task.test_period": None, **changed})


def networks(wanted: Experiment) -> list[Network]:
    """Build members that differ in every weight, those of norms too."""
    made = [build(lab.override(wanted, {"seed": seed})) for seed in range(MEMBERS)]
    for seed, network in enumerate(made):
        generator = torch.Generator().manual_seed(seed)
        for weight in network.parameters():
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return made


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_member_computes_and_learns_as_separately(kind: str, mlp: str) -> None:
    wanted = experiment(n_future=3, **{"model.heads": kind, "model.mlp": mlp, "model.norm_epsilon": 0.01})
    members = networks(wanted)
    stacked = stack(members)
    batches = [torch.from_numpy(wanted.task.batch(seed, 0, SEQUENCES).tokens) for seed in range(MEMBERS)]
    together = stacked(torch.cat(batches)).unflatten(1, (MEMBERS, SEQUENCES))
    together.square().mean((0, 2, 3, 4)).sum().backward()
    for member, (network, tokens_BT) in enumerate(zip(members, batches, strict=True)):
        alone = network(tokens_BT)
        torch.testing.assert_close(together[:, member], alone)
        alone.square().mean().backward()
        gradients = {name: weight.grad for name, weight in stacked.named_parameters()}
        for name, weight in network.named_parameters():
            ours = gradients[name]
            if weight.grad is not None:  # the hidden states do not depend on the unembedding
                assert ours is not None, name
                torch.testing.assert_close(ours[member], weight.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_member_is_extracted_under_its_own_names() -> None:
    members = networks(experiment(n_future=2))
    stacked = stack(members)
    for member, network in enumerate(members):
        state = member_state(stacked, member, 2)
        assert state.keys() == network.state_dict().keys()
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.continues_trunk])
def test_members_with_fewer_heads_use_the_last_heads(kind: str) -> None:
    numbers = (2, 4, 1)
    members = [networks(experiment(n_future=n, **{"model.heads": kind}))[seed] for seed, n in enumerate(numbers)]
    stacked = stack(members)
    tokens_BT = torch.from_numpy(experiment().task.batch(0, 0, MEMBERS * SEQUENCES).tokens)
    together = stacked(tokens_BT).unflatten(1, (MEMBERS, SEQUENCES))
    for member, (network, n) in enumerate(zip(members, numbers, strict=True)):
        torch.testing.assert_close(together[-n:, member], network(tokens_BT.view(MEMBERS, SEQUENCES, -1)[member]))
        state = member_state(stacked, member, n)
        assert list(state) == list(network.state_dict()), "the order is the same too, since the optimiser's state depends on it"
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("settings", "others"),
    [
        *[({"model.heads": name}, {}) for name, kind in KINDS.items() if not kind.continues_trunk],
        ({"model.matched": "none"}, {}),
        ({}, {"model.heads": "causal"}),
    ],
    ids=str,
)
def test_networks_of_other_shapes_are_rejected(settings: dict[str, object], others: dict[str, object]) -> None:
    with pytest.raises(LabError, match=r"model\.heads parallel or causal, model\.matched parameters"):
        stack([build(experiment(n_future=3, **settings)), build(experiment(n_future=2, **settings, **others))])


def test_detached_heads_send_no_gradient_to_the_norm() -> None:
    stacked = stack(networks(experiment(n_future=2)))
    tokens = torch.zeros(MEMBERS * SEQUENCES, 24, dtype=torch.int64)
    stacked(tokens, context=Context(detached=True))[1].sum().backward()
    assert stacked.norm.weight.grad is None or not stacked.norm.weight.grad.any()


def test_a_part_that_cannot_be_stacked_is_named() -> None:
    members = networks(experiment())
    for network in members:
        network.trunk.append(nn.LayerNorm(16))  # type: ignore[arg-type]
    with pytest.raises(LabError, match="networks with a LayerNorm cannot be trained together"):
        stack(members)
