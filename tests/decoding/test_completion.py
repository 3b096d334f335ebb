"""Completion with stub networks whose logits are written by hand."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import lab
from lab.decoding import completion, greedy, sample
from lab.model import build


class Stub:
    """After token a, token b has the logit `table[a][b]`, whatever came before; counts its calls."""

    def __init__(self, table: list[list[float]]) -> None:
        self.table_VV, self.calls = torch.tensor(table), 0

    def next_logits(self, tokens_BT: Tensor) -> Tensor:
        self.calls += 1
        return self.table_VV[tokens_BT[:, -1]]


NEVER = -torch.inf
RING = Stub([[NEVER, 0.0, NEVER], [NEVER, NEVER, 0.0], [0.0, NEVER, NEVER]])
DISTRIBUTIONS = [[0.1, 0.2, 0.7], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_both_follow_a_certain_network() -> None:
    prompt = torch.tensor([[2, 0], [0, 1]])
    expected = [[2, 0, 1, 2, 0], [0, 1, 2, 0, 1]]
    assert greedy(RING, prompt, 5).tolist() == expected
    assert sample(RING, prompt, 5, generator()).tolist() == expected


def test_a_complete_sequence_is_unchanged() -> None:
    prompt = torch.tensor([[2, 0]])
    assert greedy(RING, prompt, 2).tolist() == sample(RING, prompt, 2, generator()).tolist() == [[2, 0]]


def test_greedy_takes_the_smallest_id_among_equals() -> None:
    assert greedy(Stub([[0.0, 1.0, 1.0]] * 3), torch.tensor([[0]]), 2).tolist() == [[0, 1]]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_samples_follow_the_networks_distribution(before: int) -> None:
    network = Stub(np.log(np.maximum(DISTRIBUTIONS, 1e-300)).tolist())
    rows = 4000
    drawn = sample(network, torch.full((rows, 1), before), 2, generator())[:, 1]
    counts = np.bincount(drawn.numpy(), minlength=3)
    expected = np.array(DISTRIBUTIONS[before])
    assert (counts[expected == 0] == 0).all(), "an impossible token was drawn"
    if (expected > 0).sum() > 1:
        assert stats.chisquare(counts[expected > 0], rows * expected[expected > 0]).pvalue > 1e-3


def test_successive_draws_are_independent() -> None:
    drawn = sample(Stub([[0.0, 0.0]] * 2), torch.zeros(4000, 1, dtype=torch.int64), 3, generator())
    counts = np.bincount((2 * drawn[:, 1] + drawn[:, 2]).numpy(), minlength=4)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_samples_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network, prompt = Stub(np.log(np.maximum(DISTRIBUTIONS, 1e-300)).tolist()), torch.zeros(50, 1, dtype=torch.int64)
    whole = sample(network, prompt, 6, generator(3))
    monkeypatch.setattr(completion, "SEQUENCES_AT_ONCE", 7)
    assert torch.equal(sample(network, prompt, 6, generator(3)), whole)
    assert not torch.equal(sample(network, prompt, 6, generator(4)), whole)


def test_imposed_tokens_leave_other_draws_unchanged() -> None:
    network, prompt = Stub([[0.0, 0.0, 0.0]] * 3), torch.zeros(20, 1, dtype=torch.int64)

    def forced(prefix_BT: Tensor) -> Tensor:
        imposed = torch.full((len(prefix_BT),), -1)
        if prefix_BT.shape[1] == 2:
            imposed[::2] = 2
        return imposed

    free, partly = (sample(network, prompt, 4, generator(), rule) for rule in (None, forced))
    assert (partly[::2, 2] == 2).all()
    free[::2, 2] = 2
    assert torch.equal(free, partly), "the same draws decide what is free"
    ring = greedy(RING, torch.tensor([[0], [0]]), 4, forced)
    assert ring.tolist() == [[0, 1, 2, 0], [0, 1, 2, 0]]


def test_no_forward_pass_if_every_token_is_imposed() -> None:
    network = Stub([[0.0, 0.0]] * 2)
    rows = sample(network, torch.zeros(3, 1, dtype=torch.int64), 4, generator(), lambda prefix: torch.ones(len(prefix)).long())
    assert rows.tolist() == [[0, 1, 1, 1]] * 3
    assert network.calls == 0


def test_greedy_is_a_loop_over_single_sequences() -> None:
    network = build(lab.experiment("induction", {"model.width": 16, "model.layers": 3, "model.n_heads": 2})).eval()
    prompt = torch.from_numpy(lab.experiment("induction").task.batch(0, 0, 6).tokens[:, :5])
    completed = greedy(network, prompt, 12)
    for row, tokens in zip(prompt, completed, strict=True):
        while len(row) < 12:
            row = torch.cat([row, network.logits(row[None])[0, -1].argmax()[None]])
        assert torch.equal(row, tokens)
    assert not completed.requires_grad
