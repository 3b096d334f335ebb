"""Parts of induction circuits: the hand-built circuit is found and nothing else; composition agrees with plain matrices."""

import pytest
import torch

import tasks
from lab.errors import LabError
from lab.interp.circuits import HeadWeights, circuits, head_weights, k_composition
from lab.model import Network
from lab.model.kernels import apply_rope
from lab.model.layers import Layer
from tests.helpers.induction_network import INDUCTION, PREVIOUS, induction_network
from tests.helpers.networks import tiny_network
from tests.helpers.tiny import tiny

TASK = tasks.get("induction", vocabulary=12, period=[12, 12], length=24, test_period=None)


@pytest.mark.parametrize("n_future", [1, 2])
def test_the_circuit_is_found_and_nothing_else(n_future: int) -> None:
    table = circuits(induction_network(12, n_future), TASK)
    found = {name: rows.set_index(["site", "attention_head"]) for name, rows in table.groupby("quantity")}
    induction, previous = ("trunk.1", INDUCTION), ("trunk.0", PREVIOUS)
    matching = found["prefix_matching"]["value"]
    expected = [induction] if n_future == 1 else [induction, ("prediction.2", 0)]
    assert list(matching[matching > 0.3].index) == expected
    assert (matching[expected] > 0.95).all()
    back = found["previous_token"]["value"]
    assert list(back[back > 0.3].index) == [previous]
    assert back[previous] > 0.99
    composed = found["k_composition"]
    pairs = composed[composed["value"] > 0.02]
    assert {(receiver, sender) for receiver, sender in pairs["sender"].items()} == {
        (receiver, f"trunk.0/{PREVIOUS}") for receiver in expected
    }
    assert (pairs["value"] > 0.1).all()


def naive_composition(network: Network, sender: tuple[Layer, int], receiver: tuple[Layer, int], offsets: int) -> float:
    """Compute the share from full (D, D) matrices, one for each offset."""
    K = network.rope.head_width

    def part(layer: Layer, head: int, which: int) -> torch.Tensor:
        D = layer.attention.qkv.in_features
        rows = layer.attention.qkv.weight.double()[which * D + head * K : which * D + (head + 1) * K]
        return rows @ torch.diag(layer.attention_norm.weight.double())

    written = sender[0].attention.out.weight.double()[:, sender[1] * K : (sender[1] + 1) * K] @ part(*sender, 2)
    rope = network.rope(None, offsets, torch.device("cpu"), torch.float64)
    stacked = []
    for offset in range(offsets):  # a query `offset` positions after position 0
        queries = apply_rope(part(*receiver, 0).T.contiguous()[None, None, :, None], rope[offset][None])[0, 0, :, 0]  # (D, K)
        stacked.append(queries @ part(*receiver, 1))
    read = torch.cat(stacked)
    return float((read @ written).norm() / (read.norm() * written.norm()))


@torch.no_grad()
def test_composition_agrees_with_full_matrices() -> None:
    network = tiny_network(n_future=2, model__width=16)
    layers = {module.name: module for module in network.modules() if isinstance(module, Layer)}
    first, later = layers["trunk.0"], layers["prediction.2"]
    found = k_composition(head_weights(first), head_weights(later), network.rope(None, 5, torch.device("cpu"), torch.float64))
    for a in range(2):
        for b in range(2):
            assert float(found[a, b]) + 16**-0.5 == pytest.approx(
                naive_composition(network, (first, a), (later, b), 5), rel=1e-9
            )


def test_matrices_of_random_directions_compose_at_zero() -> None:
    """For any spectra, the baseline is the root mean square over rotations between the two matrices."""
    generator = torch.Generator().manual_seed(0)
    D, K, count = 32, 4, 400

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    spectrum = torch.tensor([8.0, 1.0, 0.1, 0.1])
    key, value, query = draw(1, K, D) * spectrum[:, None], draw(1, K, D), draw(1, K, D)
    rotations = torch.linalg.qr(draw(count, D, D))[0]
    out = rotations @ draw(1, D, K)
    senders = HeadWeights(query.expand(count, -1, -1), query.expand(count, -1, -1), value.expand(count, -1, -1), out)
    receiver = HeadWeights(query, key, value, out[:1])
    rope = torch.stack([torch.ones(1, 1, 1, K // 2), torch.zeros(1, 1, 1, K // 2)], -1)
    share = k_composition(senders, receiver, rope) + D**-0.5
    assert float(share.square().mean()) == pytest.approx(1 / D, rel=0.1)


def test_senders_are_the_earlier_trunk_layers() -> None:
    table = circuits(tiny_network(n_future=2), tiny().task)
    composed = table[table["quantity"] == "k_composition"]
    for site, rows in composed.groupby("site"):
        part, number = str(site).split(".")
        last = int(number) if part == "trunk" else 4
        assert {name.split("/")[0] for name in rows["sender"]} == {f"trunk.{layer}" for layer in range(last)}
    assert len(composed) == 4 * (0 + 1 + 2 + 3 + 4 + 4)


def test_bad_settings_are_rejected() -> None:
    with pytest.raises(LabError, match="sequences must be at least 1, not 0"):
        circuits(tiny_network(), tiny().task, sequences=0)
    with pytest.raises(LabError, match="the network has 12 tokens, agreement has"):
        circuits(tiny_network(), tasks.get("agreement"))
