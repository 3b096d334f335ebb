"""The memory-efficient loss agrees with the naive one, which computes the logits of all heads at once."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.objectives import IGNORE, Targets, cross_entropy, future_targets, multi_head_loss, score_predictions
from tests.helpers.tensors import Largest

B, T, D, V = 3, 11, 8, 23


def example(n: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, B, T, D, generator=generator, dtype=dtype).requires_grad_()
    matrix = torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()
    tokens = torch.randint(V, (B, T), generator=generator)
    scored = torch.rand(B, T, generator=generator) < 0.8
    return hidden, matrix, future_targets(tokens, scored, n)


def naive(hidden: Tensor, matrix: Tensor, targets: Tensor) -> Tensor:
    logits = hidden @ matrix.T
    return sum(F.cross_entropy(logits[i].flatten(0, 1), targets[i].flatten(), ignore_index=IGNORE) for i in range(len(hidden)))


def counts_of(targets: Tensor) -> Tensor:
    return (targets != IGNORE).sum((1, 2))


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_value_and_gradients_agree_with_the_naive_loss(
    n: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 64 * V)  # several chunks, the last one short
    hidden, matrix, targets = example(n, dtype)
    expected = naive(hidden, matrix, targets)
    wanted = torch.autograd.grad(expected, (hidden, matrix))
    loss = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets))
    found = torch.autograd.grad(loss.total, (hidden, matrix))
    assert abs(loss.total - expected) <= tolerance * expected
    assert abs(loss.heads_N.sum() - expected) <= tolerance * expected
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_the_size_of_the_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, matrix, targets = example(4, torch.float64)
    results = []
    for elements in (64 * V, 1 << 22):
        monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", elements)
        total = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets)).total
        results.append((total, *torch.autograd.grad(total, (hidden, matrix))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_targets_past_the_end_give_neither_loss_nor_gradient() -> None:
    hidden, matrix, _ = example(2, torch.float64)
    targets = future_targets(torch.randint(V, (B, T)), torch.ones(B, T, dtype=torch.bool), 2)
    loss = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets))
    (gradient,) = torch.autograd.grad(loss.total, hidden)
    assert not gradient[0, :, -1].any()
    assert not gradient[1, :, -2:].any()
    assert gradient[1, :, -3].any()


def test_uneven_microbatches_sum_to_the_loss_of_the_step() -> None:
    hidden, matrix, targets = example(3, torch.float64)
    targets[:, 0] = IGNORE  # one microbatch has no target at all
    whole = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets))
    wanted = torch.autograd.grad(whole.total, matrix)[0]
    shared = counts_of(targets) / B
    parts = [multi_head_loss(hidden[:, b : b + 1], matrix, Targets(targets[:, b : b + 1]), shared) for b in range(B)]
    torch.testing.assert_close(sum(part.total for part in parts) / B, whole.total)
    torch.testing.assert_close(sum(torch.autograd.grad(part.total, matrix)[0] for part in parts) / B, wanted)


def test_a_step_without_any_target_has_no_loss_and_no_gradient() -> None:
    hidden, matrix, targets = example(2, torch.float32)
    loss = multi_head_loss(hidden, matrix, Targets(torch.full_like(targets, IGNORE)), torch.zeros(2))
    gradients = torch.autograd.grad(loss.total, (hidden, matrix))
    assert loss.total == 0
    assert not any(gradient.any() for gradient in gradients)


def test_a_second_backward_pass_is_an_error() -> None:
    hidden, matrix, targets = example(1, torch.float32)
    total = 2 * multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets)).total
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_bfloat16_autocast_is_close() -> None:
    hidden, matrix, targets = example(3, torch.float32)
    exact = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets)).total
    wanted = torch.autograd.grad(exact, matrix)[0]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = multi_head_loss(hidden, matrix, Targets(targets), counts_of(targets)).total
    found = torch.autograd.grad(rounded, matrix)[0]
    assert rounded.dtype == torch.float32
    assert abs(rounded - exact) < 0.02 * exact
    assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_score_predictions_agrees_with_naive_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 64 * V)
    hidden, matrix, targets = example(3, torch.float32)
    losses, hits = score_predictions(hidden, matrix, targets)
    logits = hidden @ matrix.T
    expected = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=IGNORE, reduction="none")
    torch.testing.assert_close(losses, expected.view_as(targets).detach())
    assert torch.equal(hits, logits.argmax(-1) == targets)


def test_replicated_unembeddings_match_a_naive_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 64 * V)
    hidden, matrix, targets = example(3, torch.float64)
    replicas = tuple(matrix.detach() + torch.randn(3, *matrix.shape, dtype=torch.float64))
    for replica in replicas:
        replica.requires_grad_()
    expected = sum(naive(hidden[i : i + 1], replicas[i], targets[i : i + 1]) for i in range(3))
    wanted = torch.autograd.grad(expected, (hidden, *replicas))
    loss = multi_head_loss(hidden, replicas, Targets(targets), counts_of(targets))
    found = torch.autograd.grad(loss.total, (hidden, *replicas))
    torch.testing.assert_close(loss.total, expected)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    losses, hits = score_predictions(hidden, replicas, targets)
    for i in range(3):
        alone = score_predictions(hidden[i], replicas[i], targets[i])
        assert torch.equal(losses[i], alone[0])
        assert torch.equal(hits[i], alone[1])


def test_no_tensor_grows_with_heads_times_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 1 << 18)
    vocabulary, rows = 4096, 128
    largest = {}
    for n in (1, 8):
        hidden = torch.randn(n, 1, rows, 4, requires_grad=True)
        matrix = torch.randn(vocabulary, 4, requires_grad=True)
        targets = torch.randint(vocabulary, (n, 1, rows))
        with Largest() as watch:
            multi_head_loss(hidden, matrix, Targets(targets), torch.full((n,), rows)).total.backward()
        largest[n] = watch.elements
    assert largest[8] == largest[1] <= 1 << 18 < rows * vocabulary
