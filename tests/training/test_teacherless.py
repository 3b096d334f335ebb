"""Teacherless training: the answer is hidden from the input, in training and in a variant of evaluation."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import lab
import tasks
from lab.config import Experiment
from lab.errors import LabError
from lab.evaluation.evaluator import EVALUATION_SEED
from lab.model import build
from lab.objectives import hide_answer
from lab.training.affected import affected_parameters
from lab.training.feed import Feed
from lab.training.learning_rate import rate_factor
from tests.helpers.tiny import tiny


def star(**changes: object) -> Experiment:
    """Return a tiny experiment on star graphs whose answers are hidden."""
    settings = {"task__arm": 3, "task__nodes": 7, "n_future": 1, "steps": 6, "batch_size": 8, "evaluation__examples": 16}
    return tiny("star", **{**settings, "objective__teacherless": True, **changes})


def embed_with_mask(network: torch.nn.Module, tokens: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """Embed tokens one at a time, with the mask in place of each token of the answer."""
    embedded = [[network.embedding.weight[token] for token in sequence] for sequence in tokens]
    for sequence, (begin, end) in zip(embedded, answer.tolist(), strict=True):
        sequence[begin:end] = [network.mask] * (end - begin)
    return torch.stack([torch.stack(sequence) for sequence in embedded])


def hidden_of(network: torch.nn.Module, tokens: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """Compute the hidden states of head 1 from these embeddings."""
    shown = embed_with_mask(network, tokens, answer)
    handle = network.embedding.register_forward_hook(lambda *_: shown)
    network.mask, mask = None, network.mask
    try:
        return network(tokens)[0]
    finally:
        network.mask = mask
        handle.remove()


@pytest.mark.parametrize("examples", [None, 20])
def test_training_agrees_with_a_plain_loop_on_masked_answers(tmp_path: Path, examples: int | None) -> None:
    experiment = star(examples=examples)
    network, settings = build(experiment), experiment.optimiser
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, betas=(settings.beta1, settings.beta2))
    feed = Feed(experiment)
    for step in range(experiment.steps):
        batch = feed.batch(step)
        tokens, answer = torch.from_numpy(batch.tokens), torch.from_numpy(batch.answer)
        logits = hidden_of(network, tokens, answer) @ network.unembedding.weight.T
        begin, end = answer[0].tolist()
        loss = F.cross_entropy(logits[:, begin - 1 : end - 1].flatten(0, 1), tokens[:, begin:end].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        for group in optimiser.param_groups:
            group["lr"] = settings.peak_lr * rate_factor(step, experiment)
        optimiser.step()
    found = lab.train(experiment, tmp_path / "run").model().state_dict()
    for name, weight in network.state_dict().items():
        assert (found[name] - weight).norm() <= 2e-5 * weight.norm(), name


def test_answers_are_measured_hidden_and_by_decoding(tmp_path: Path) -> None:
    run = lab.train(star(), tmp_path / "run")
    network, task = run.model(), run.experiment.task
    batch = task.batch(EVALUATION_SEED, 0, 16, "validation")
    tokens, answer = torch.from_numpy(batch.tokens), torch.from_numpy(batch.answer)
    begin, end = answer[0].tolist()
    last = {row.metric: row.value for row in run.metrics()}
    for prefix, hidden in (("", network(tokens)[0]), ("teacherless:", hidden_of(network, tokens, answer))):
        logits = hidden[:, begin - 1 : end - 1] @ network.unembedding.weight.T
        hits = logits.argmax(-1) == tokens[:, begin:end]
        assert last[f"{prefix}exact"] == pytest.approx(float(hits.all(1).float().mean()))
        assert last[f"{prefix}accuracy/turn/1"] == pytest.approx(float(hits[:, 0].float().mean()))
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, begin:end].flatten())
        assert last[f"{prefix}loss/all/1"] == pytest.approx(loss.item(), rel=1e-5)


def test_only_the_answer_is_hidden() -> None:
    task = tasks.get("star", arm=3, nodes=7)
    batch = task.batch(0, 0, 5)
    shown = hide_answer(batch, 99)
    begin, end = batch.answer[0].tolist()
    assert (shown[:, begin:end] == 99).all()
    shown[:, begin:end] = batch.tokens[:, begin:end]
    assert (shown == batch.tokens).all()


def test_the_mask_changes_no_other_initial_weight() -> None:
    with_mask, without = (build(star(objective__teacherless=hidden)) for hidden in (True, False))
    assert set(with_mask.state_dict()) - set(without.state_dict()) == {"mask"}
    assert all(torch.equal(weight, with_mask.state_dict()[name]) for name, weight in without.state_dict().items())
    assert with_mask.non_embedding_parameters() == without.non_embedding_parameters()


def test_microbatches_hide_the_tokens_that_the_step_hides() -> None:
    experiment = star(accumulate=4)
    parts = list(islice(Feed(experiment), 4))
    (whole,) = Feed(star()).microbatches(0)
    assert torch.equal(torch.cat([part.inputs.tokens_BS for part in parts]), whole.inputs.tokens_BS)
    assert not torch.equal(whole.inputs.tokens_BS, torch.from_numpy(Feed(star()).batch(0).tokens))


@pytest.mark.parametrize(
    "changed", [{"objective__weights": [1, 0]}, {"objective__active": "up"}, {"objective__detached": True}]
)
def test_the_mask_embedding_learns_with_any_trained_heads(tmp_path: Path, changed: dict[str, object]) -> None:
    experiment = star(n_future=2, **changed)
    assert "mask" in affected_parameters(build(experiment), [1])
    trained = lab.train(experiment, tmp_path / "run").model().mask
    assert trained is not None
    assert not torch.equal(trained, build(experiment).mask)


def test_a_probability_hides_that_share_of_the_answer() -> None:
    whole, parts = (star(objective__teacherless=0.3, batch_size=400, accumulate=accumulate) for accumulate in (1, 4))
    feed, (step,) = Feed(whole), Feed(whole).microbatches(2)
    shown, tokens = step.inputs.tokens_BS, torch.from_numpy(feed.batch(2).tokens)
    begin, end = feed.batch(2).answer[0].tolist()
    hidden = shown == whole.task.vocab_size
    assert torch.equal(shown[~hidden], tokens[~hidden])
    assert not hidden[:, :begin].any()
    assert not hidden[:, end:].any()
    shares = hidden[:, begin:end].double().mean(0)
    assert (shares - 0.3).abs().max() < 5 * (0.3 * 0.7 / 400) ** 0.5
    cut = torch.cat([part.inputs.tokens_BS for part in Feed(parts).microbatches(2)])
    assert torch.equal(cut, shown)
    (following,) = feed.microbatches(3)
    drawn_again = following.inputs.tokens_BS == whole.task.vocab_size
    assert not torch.equal(drawn_again, hidden)


@pytest.mark.parametrize(("value", "same"), [(1, True), (1.0, True), (0, False), (0.0, False)])
def test_one_and_zero_are_true_and_false(value: float, same: bool) -> None:
    assert star(objective__teacherless=value).fingerprint == star(objective__teacherless=same).fingerprint


@pytest.mark.parametrize("value", [-0.1, 1.1, "some", None])
def test_a_value_that_is_no_probability_is_rejected(value: object) -> None:
    with pytest.raises(LabError, match=r"objective\.teacherless must be true, false or a probability"):
        star(objective__teacherless=value)


def test_a_partly_hidden_answer_is_read_at_inference(tmp_path: Path) -> None:
    run = lab.train(star(objective__teacherless=0.5), tmp_path / "run")
    network = run.model()
    assert not network.spec.teacherless
    assert len(lab.decode(run, prompts=2).frame) > 0
    metrics = {row.metric for row in run.metrics()}
    assert {"exact", "teacherless:exact"} <= metrics
