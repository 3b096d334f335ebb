"""The arms in training: what they change of a run, and what they must not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lab
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, OBJECTIVES, summed
from lab.training.feed import Feed
from lab.training.points import rate_factor
from lab.training.reach import reached

Make = Callable[..., Experiment]


def next_token_alone(experiment: Experiment) -> dict[str, torch.Tensor]:
    """Plain torch: the same network, of which head 1's loss alone is minimised. Weights at the end."""
    network, settings = build(experiment), experiment.optimiser
    path = [weight for weight in network.parameters() if weight in reached(network, [1])]
    decays = [{"params": [weight for weight in path if (weight.ndim > 1) == wide], "weight_decay": settings.weight_decay * wide}
              for wide in (True, False)]  # fmt: skip
    optimiser = torch.optim.AdamW(decays, lr=settings.peak_lr, betas=(settings.beta1, settings.beta2))
    for step, part in zip(range(experiment.steps), Feed(lab.override(experiment, {"accumulate": 1})), strict=False):
        targets = OBJECTIVES["sum"].targets(part, 1)
        loss = summed(network(part.tokens_BT)[:1], network.unembedding.weight, targets, (targets != IGNORE).sum((1, 2))).total
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(path, settings.clip_norm or torch.inf)
        for group in optimiser.param_groups:
            group["lr"] = settings.peak_lr * rate_factor(step, experiment)
        optimiser.step()
    return network.state_dict()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("clip", [0.05, None])
def test_detached_heads_leave_the_next_token_model_as_it_would_be_alone(
    tiny: Make, tmp_path: Path, accumulate: int, clip: float | None
) -> None:
    experiment = tiny(objective__detached=True, accumulate=accumulate, optimiser__clip_norm=clip, n_future=2)
    wanted = next_token_alone(experiment)
    run = lab.train(experiment, tmp_path / "run")
    found, first = run.model().state_dict(), build(experiment).state_dict()
    for name, weight in found.items():
        if name.startswith("heads.layers.1."):
            assert not torch.equal(weight, first[name]), "the probe learns"
        else:
            assert (weight - wanted[name]).norm() <= 2e-5 * wanted[name].norm(), name


def test_the_next_token_path_is_all_but_the_other_heads(tiny: Make) -> None:
    network = build(tiny(n_future=2))
    outside = {name for name, weight in network.named_parameters() if weight not in reached(network, [1])}
    assert outside == {name for name, _ in network.named_parameters() if name.startswith("heads.layers.1.")}
    assert reached(network, [1, 2]) == set(network.parameters())


@pytest.mark.parametrize(("world", "accumulate"), [(1, 4), (2, 2)])
def test_other_rows_are_drawn_from_the_whole_step(tiny: Make, world: int, accumulate: int) -> None:
    settings = {"objective__name": "shuffled"}
    (whole,) = Feed(tiny(**settings)).parts(5)
    cut = tiny(accumulate=accumulate, **settings)
    parts = [part for rank in range(world) for part in Feed(cut, rank=rank, world=world).parts(5)]
    assert torch.equal(torch.cat([part.elsewhere_BT for part in parts]), whole.elsewhere_BT)
    assert not (whole.elsewhere_BT == whole.tokens_BT).all(1).any()


def test_a_feed_draws_other_rows_only_if_they_are_asked_for(tiny: Make) -> None:
    assert Feed(tiny()).parts(0)[0].elsewhere_BT is None


def test_every_arm_sees_the_same_data(tiny: Make) -> None:
    streams = [Feed(tiny(objective__name=name)).parts(4)[0].tokens_BT for name in OBJECTIVES]
    assert all(torch.equal(tokens, streams[0]) for tokens in streams)


@pytest.mark.parametrize("settings", [{"objective__name": "shuffled"}, {"objective__detached": True}])
def test_an_arm_changes_the_numbers(tiny: Make, tmp_path: Path, settings: dict[str, object]) -> None:
    plain = lab.train(tiny(), tmp_path / "plain").metrics()
    assert lab.train(tiny(**settings), tmp_path / "arm").metrics() != plain
