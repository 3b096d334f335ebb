import pytest
import torch

import lab
from lab.errors import LabError
from lab.interp.patching import interchanged
from lab.model import Network, build

POSITION = 5


@pytest.fixture
def network() -> Network:
    settings = {"model.width": 16, "model.layers": 5, "model.n_heads": 2, "task.length": 12, "task.period": [3, 5]}
    return build(lab.experiment("induction", {**settings, "task.test_period": None}, n_future=2))


def rows(seed: int) -> torch.Tensor:
    return torch.randint(32, (4, 12), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("head", [1, 2])
def test_a_rows_own_state_changes_nothing(network: Network, layers: int, head: int) -> None:
    torch.testing.assert_close(interchanged(network, rows(0), rows(0), POSITION, layers, head), network.logits(rows(0), head))


def test_the_embedding_of_another_token_is_that_token(network: Network) -> None:
    changed = rows(0)
    changed[:, POSITION] = rows(1)[:, POSITION]
    torch.testing.assert_close(interchanged(network, rows(0), rows(1), POSITION, layers=0), network.logits(changed))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_other_rows_state_is_what_later_layers_see(network: Network, layers: int) -> None:
    """By hand: the trunk's layers one by one."""
    rotary = network.rotary(12, torch.device("cpu"))
    states, others = network.embedding(rows(0)), network.embedding(rows(1))
    for number, layer in enumerate(network.trunk, start=1):
        states, others = layer(states, rotary), layer(others, rotary)
        if number == layers:
            states[:, POSITION] = others[:, POSITION]
    expected = network.unembedding(network.norm(network.heads.layers[0](states, rotary)), 1)
    found = interchanged(network, rows(0), rows(1), POSITION, layers)
    torch.testing.assert_close(found, expected)
    plain = network.logits(rows(0))
    torch.testing.assert_close(found[:, :POSITION], plain[:, :POSITION])
    assert not torch.allclose(found[:, POSITION + 1 :], plain[:, POSITION + 1 :])


def test_the_network_is_left_as_it_was(network: Network) -> None:
    before = network.logits(rows(2))
    interchanged(network, rows(0), rows(1), POSITION, layers=2)
    torch.testing.assert_close(network.logits(rows(2)), before)


def test_the_embedding_of_a_hidden_token_cannot_be_taken() -> None:
    settings = {"model.width": 16, "model.layers": 3, "model.n_heads": 2, "objective.teacherless": True}
    network = build(lab.experiment("star", settings, n_future=1))
    rows_BT = torch.zeros(1, 12, dtype=torch.int64)
    assert interchanged(network, rows_BT, rows_BT, POSITION, layers=1).shape[:2] == (1, 12)
    with pytest.raises(LabError, match="layers must be at least 1 in a teacherless network"):
        interchanged(network, rows_BT, rows_BT, POSITION, layers=0)
