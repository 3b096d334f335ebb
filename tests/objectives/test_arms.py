"""The arms against naive implementations in plain torch, row by row and target by target."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lab.config import Experiment
from lab.config.files import setting_names
from lab.objectives import IGNORE, OBJECTIVES, Part, cross_entropy, future_targets, summed
from lab.training.feed import other_rows

B, T, D, V = 4, 11, 8, 23


def part_of(n: int, seed: int = 0) -> Part:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(V, (B, T), generator=generator)
    scored = torch.rand(B, T, generator=generator) < 0.7
    elsewhere = tokens.masked_fill(~scored, IGNORE)[torch.from_numpy(other_rows(B, seed, 3))]
    counts = (future_targets(tokens, scored, n) != IGNORE).sum((1, 2))
    return Part(tokens, scored, counts, elsewhere)


def states(n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    hidden = torch.randn(n, B, T, D, generator=generator, dtype=dtype).requires_grad_()
    return hidden, torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()


def close(found: object, wanted: object, tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):  # type: ignore[call-overload]
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_shuffled_heads_learn_another_rows_tokens_and_head_1_its_own(
    n: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 64 * V)
    part, others = part_of(n), other_rows(B, 0, 3)
    hidden, matrix = states(n, dtype)
    naive = hidden.new_zeros(())
    for i in range(n):
        terms = []
        for b in range(B):
            source = b if i == 0 else int(others[b])
            for t in range(T - 1 - i):
                if part.scored_BT[source, t + 1 + i]:
                    terms.append(F.cross_entropy(matrix @ hidden[i, b, t], part.tokens_BT[source, t + 1 + i]))
        naive = naive + torch.stack(terms).mean()
    loss = summed(hidden, matrix, OBJECTIVES["shuffled"].targets(part, n), part.counts_N)
    assert abs(loss.total - naive) <= tolerance * naive
    close(torch.autograd.grad(loss.total, (hidden, matrix)), torch.autograd.grad(naive, (hidden, matrix)), tolerance)


def test_shuffling_leaves_the_targets_of_every_head_and_position_the_same_altogether() -> None:
    part = part_of(3)
    plain, mixed = (OBJECTIVES[name].targets(part, 3) for name in ("sum", "shuffled"))
    assert torch.equal(plain[0], mixed[0])
    assert torch.equal(plain.sort(dim=1).values, mixed.sort(dim=1).values)
    assert not torch.equal(plain[1:], mixed[1:])


@pytest.mark.parametrize("size", [2, 3, 32])
def test_no_row_keeps_its_own_targets_and_each_is_used_once(size: int) -> None:
    orders = [other_rows(size, seed, step) for seed in (0, 1) for step in range(20)]
    for others in orders:
        assert not (others == np.arange(size)).any()
        assert sorted(others) == list(range(size))
    assert np.array_equal(orders[7], other_rows(size, 0, 7))
    if size == 32:
        assert len({others.tobytes() for others in orders}) == len(orders)


@pytest.mark.parametrize("n", range(1, 5))
def test_a_detached_heads_loss_sends_no_gradient_to_the_unembedding(n: int) -> None:
    part = part_of(n)
    hidden, matrix = states(n, torch.float64)
    targets = OBJECTIVES["sum"].targets(part, n)
    plain = summed(hidden, matrix, targets, part.counts_N)
    probed = summed(hidden, matrix, targets, part.counts_N, detached=True)
    torch.testing.assert_close(probed, plain, rtol=1e-12, atol=0)
    alone = summed(hidden[:1], matrix, targets[:1], part.counts_N[:1])
    (of_matrix,) = torch.autograd.grad(alone.total, matrix)
    of_hidden = torch.autograd.grad(plain.total, hidden)[0]
    close(torch.autograd.grad(probed.total, (hidden, matrix)), (of_hidden, of_matrix), 1e-12)


def test_every_name_in_the_settings_is_in_the_table() -> None:
    assert "objective.name" in setting_names(Experiment)
    for name in OBJECTIVES:
        Experiment.model_validate({"task": "induction", "objective": {"name": name}})
