"""Next-latent prediction: the tokens that a prediction depends on, the pairs of positions that count, and the divergence."""

import pytest
import torch
from torch import Tensor

from lab.objectives import build_extra, cross_entropy, divergence
from lab.objectives.divergence import weighted_divergence
from lab.objectives.next_latent import NextLatent, pairs_of
from lab.training.feed import Feed
from lab.training.module import TrainingModule
from tests.helpers.tensors import Largest
from tests.helpers.tiny import tiny
from tests.helpers.twins import TWINS

EXPERIMENT = tiny(objective__name="next_latent", objective__window=3)


def predictions(module: TrainingModule, tokens_BT: Tensor) -> list[Tensor]:
    assert isinstance(module.extra, NextLatent)
    return module.extra.predict(module.network(tokens_BT)[0], module.network.embedding(tokens_BT))


def make_module_that_predicts_change() -> TrainingModule:
    """Return a module whose last layer predicts a change."""
    module = TrainingModule(EXPERIMENT).double()
    assert isinstance(module.extra, NextLatent)
    torch.nn.init.normal_(module.extra.third.weight)
    return module


@torch.no_grad()
def test_a_prediction_depends_on_no_later_token() -> None:
    module = make_module_that_predicts_change()
    tokens_1T = Feed(EXPERIMENT).microbatches(0)[0].inputs.tokens_BS[:1]
    before = predictions(module, tokens_1T)
    for changed in range(tokens_1T.shape[1]):
        other_1T = tokens_1T.clone()
        other_1T[0, changed] = (other_1T[0, changed] + 1) % EXPERIMENT.task.vocab_size
        for ahead, (one, other) in enumerate(zip(before, predictions(module, other_1T), strict=True), start=1):
            same = [bool(torch.isclose(*pair, rtol=0, atol=1e-12).all()) for pair in zip(one[0], other[0], strict=True)]
            assert same == [t + ahead < changed for t in range(len(same))]


def test_initial_predictions_repeat_the_state() -> None:
    module, tokens_BT = TrainingModule(EXPERIMENT), Feed(EXPERIMENT).microbatches(0)[0].inputs.tokens_BS
    for ahead, predicted in enumerate(predictions(module, tokens_BT), start=1):
        assert torch.equal(predicted, module.network(tokens_BT)[0][:, :-ahead])


def test_initial_weights_of_the_module_depend_on_the_seed_alone() -> None:
    drawn = []
    for seed in (5, 5, 6):
        torch.rand(1)  # moves the global generator
        before = torch.random.get_rng_state()
        module = build_extra(tiny(objective__name="next_latent", seed=seed))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert isinstance(module, NextLatent)
        drawn.append(module.first.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_padding_is_in_no_pair() -> None:
    experiment = tiny("polynomial", objective__name="next_latent", objective__window=4, batch_size=8)
    feed = Feed(experiment)
    batch = feed.batch(0)
    assert (batch.roles == 0).any()
    module = TrainingModule(experiment).double()
    module.training_step(feed.microbatches(0)[0], 0)
    naive = torch.stack(list(TWINS["next_latent"](module, batch).values()))
    torch.testing.assert_close(module.totals[:-3].double(), naive, rtol=1e-5, atol=1e-6)


def test_no_pair_extends_past_the_end() -> None:
    everything = torch.ones(1, 4, dtype=torch.bool)
    for window, wanted in ((1, [3]), (2, [3, 2]), (9, [3, 2, 1])):
        latent_KBS, trained_KBS = pairs_of(everything, everything, window)
        assert latent_KBS.sum((1, 2)).tolist() == wanted
        assert trained_KBS.sum((1, 2)).tolist() == [count - 1 for count in wanted]  # nothing comes after the last state


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_divergence_agrees_with_torch(dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "chunk_rows", lambda _: 4)  # several chunks, the last one short
    generator = torch.Generator().manual_seed(0)
    states, true, matrix = (torch.randn(*shape, 6, generator=generator, dtype=dtype) for shape in ((3, 10), (10,), (7,)))
    weights = torch.rand(3, 10, generator=generator, dtype=dtype)
    states.requires_grad_()
    found = weighted_divergence(states, true, matrix, weights)
    logs = (states @ matrix.T).log_softmax(-1), (true @ matrix.T).log_softmax(-1).expand(3, -1, -1)
    wanted = (torch.nn.functional.kl_div(*logs, reduction="none", log_target=True).sum(-1) * weights).sum()
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    pair = (torch.autograd.grad(2.5 * loss, states)[0] for loss in (found, wanted))
    torch.testing.assert_close(*pair, rtol=tolerance, atol=tolerance)


def test_no_tensor_grows_with_positions_times_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", 1 << 18)
    vocabulary, rows = 4096, 128
    states, true = torch.randn(4, rows, 4, requires_grad=True), torch.randn(rows, 4)
    with Largest() as watch:
        weighted_divergence(states, true, torch.randn(vocabulary, 4), torch.ones(4, rows)).backward()
    assert watch.elements <= 1 << 18 < rows * vocabulary
