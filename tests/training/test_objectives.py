"""Objectives in training: what they change in a run, and what they must not change."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.config.objective_table import OBJECTIVES
from lab.model import build
from lab.objectives import Targets, multi_head_loss
from lab.runs.writer import Recorder
from lab.training.affected import affected_parameters
from lab.training.feed import Feed
from lab.training.learning_rate import rate_factor
from lab.training.module import TrainingModule
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


def train_head_1_alone(experiment: Experiment) -> dict[str, torch.Tensor]:
    """Train the same network on the loss of head 1 alone, in plain torch; return the final weights."""
    network, settings = build(experiment), experiment.optimiser
    names = affected_parameters(network, [1])
    path = [weight for name, weight in network.named_parameters() if name in names]
    decays = [{"params": [weight for weight in path if (weight.ndim > 1) == wide], "weight_decay": settings.weight_decay * wide}
              for wide in (True, False)]  # fmt: skip
    optimiser = torch.optim.AdamW(decays, lr=settings.peak_lr, betas=(settings.beta1, settings.beta2))
    for step, part in zip(range(experiment.steps), Feed(lab.override(experiment, {"grad_accum_steps": 1})), strict=False):
        targets = Targets(part.targets.tokens[:1])
        loss = multi_head_loss(
            network(part.inputs.tokens_BS)[:1], network.unembedding.of_head(1), targets, targets.per_head()
        ).total
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(path, settings.clip_norm or torch.inf)
        for group in optimiser.param_groups:
            group["lr"] = settings.peak_lr * rate_factor(step, experiment)
        optimiser.step()
    return network.state_dict()


@pytest.mark.parametrize(("accumulate", "clip"), [(1, 0.05), (2, None)])
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.on_path])
def test_detached_heads_leave_the_next_token_model_unchanged(
    tmp_path: Path, accumulate: int, clip: float | None, kind: str
) -> None:
    changed = {"model__heads": kind, "grad_accum_steps": accumulate, "optimiser__clip_norm": clip}
    experiment = tiny(objective__detached=True, n_future=2, steps=6, evaluation__measures__induction=0, **changed)
    wanted = train_head_1_alone(experiment)
    run = lab.train(experiment, tmp_path / "run")
    found, first, path = run.model().state_dict(), build(experiment).state_dict(), affected_parameters(build(experiment), [1])
    counts = KINDS[kind].counts
    assert (len(path) < len(found)) == (counts(2) != counts(1))
    for name, weight in found.items():
        if name not in path:
            assert not torch.equal(weight, first[name]), "the detached head learns"
        else:
            assert (weight - wanted[name]).norm() <= 2e-5 * wanted[name].norm(), name


def test_the_next_token_path_excludes_only_the_other_heads() -> None:
    network = build(tiny(n_future=2))
    outside = {name for name, _ in network.named_parameters()} - affected_parameters(network, [1])
    assert outside == {name for name, _ in network.named_parameters() if name.startswith("heads.layers.1.")}


@pytest.mark.parametrize("kind", KINDS)
def test_all_heads_affect_every_weight_despite_zeros(kind: str) -> None:
    network = build(tiny(model__heads=kind, n_future=3, model__layers=6))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert affected_parameters(network, [1, 2, 3]) == {name for name, _ in network.named_parameters()}
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_the_farthest_of_many_heads_affects_its_token_norm() -> None:
    network = build(tiny(model__heads="sequential", model__matched="none", n_future=11))
    assert "heads.further.9.token_norm.weight" in affected_parameters(network, [11])


@pytest.mark.parametrize(("world", "accumulate"), [(1, 4), (2, 2)])
def test_partners_are_drawn_from_the_whole_step(world: int, accumulate: int) -> None:
    settings = {"objective__name": "shuffled"}
    (whole,) = Feed(tiny(**settings)).microbatches(5)
    cut = tiny(grad_accum_steps=accumulate, **settings)
    parts = [part for rank in range(world) for part in Feed(cut, rank=rank, world=world).microbatches(5)]
    assert torch.equal(torch.cat([part.targets.tokens for part in parts], dim=1), whole.targets.tokens)
    assert not (whole.targets.tokens[1, :, :-2] == whole.inputs.tokens_BS[:, 2:]).all(1).any()


def test_every_objective_sees_the_same_data() -> None:
    settings: list[dict[str, object]] = [{"objective__name": name} for name in OBJECTIVES]
    first, *others = (
        Feed(tiny(**more)).microbatches(4)[0].inputs.tokens_BS for more in [*settings, {"objective__active": "up"}]
    )
    assert all(torch.equal(tokens[:, : first.shape[1]], first) for tokens in others), "objectives only append positions"


def test_no_two_objectives_have_the_same_gradient() -> None:
    gradients = {}
    for name in OBJECTIVES:
        experiment = tiny(objective__name=name, objective__window=3, n_future=3, model__layers=5)
        module, (part,) = TrainingModule(experiment), Feed(experiment).microbatches(0)
        module.training_step(part, 0).backward()
        gradients[name] = module.network.embedding.weight.grad
    for one, other in itertools.combinations(gradients, 2):
        assert (gradients[one] - gradients[other]).norm() > 1e-3 * gradients[one].norm(), (one, other)


RECORDS = [
    ({"n_future": 1}, [(0, [1.0])]),
    ({"n_future": 3}, [(0, [1.0, 1.0, 1.0])]),
    ({"n_future": 3, "objective__extra_weight": 0.25}, [(0, [1.0, 0.25, 0.25])]),
    ({"n_future": 3, "objective__weights": "mean", "objective__extra_weight": 0.3}, [(0, [1.0, 0.15, 0.15])]),
    ({"n_future": 1, "objective__weights": "mean", "objective__extra_weight": 0.3}, [(0, [1.0])]),
    ({"n_future": 3, "objective__weights": "decay", "objective__extra_weight": 0.5}, [(0, [1.0, 0.5, 0.25])]),
    ({"n_future": 4, "objective__weights": "far"}, [(0, [1.0, 0.0, 0.0, 1.0])]),
    ({"n_future": 2, "objective__weights": "far", "objective__extra_weight": 2.0}, [(0, [1.0, 2.0])]),
    ({"n_future": 1, "objective__weights": "far"}, [(0, [1.0])]),
    ({"n_future": 3, "objective__weights": [2, 0, 0.5]}, [(0, [2.0, 0.0, 0.5])]),
    ({"n_future": 3, "objective__active": "up"}, [(0, [1.0, 0.0, 0.0]), (4, [1.0, 1.0, 0.0]), (8, [1.0, 1.0, 1.0])]),
    ({"n_future": 2, "objective__active": "down"}, [(0, [1.0, 1.0]), (6, [1.0, 0.0])]),
    ({"n_future": 2, "objective__active": [[0, 2], [7, 1]]}, [(0, [1.0, 1.0]), (7, [1.0, 0.0])]),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "stages"), RECORDS)
def test_a_runs_record_states_the_weights_of_each_stage(
    tmp_path: Path, settings: dict[str, object], stages: list[tuple[int, list[float]]]
) -> None:
    experiment = tiny(model__layers=5, **settings)
    recorder = Recorder.create(tmp_path / "run", experiment)
    assert json.loads((recorder.run_path / "run.json").read_text())["objective"] == [
        {"from_step": step, "weights": weights, "head_1_share": weights[0] / sum(weights)} for step, weights in stages
    ]


def test_a_runs_record_states_what_each_head_predicts(tmp_path: Path) -> None:
    experiment = tiny(objective__name="bag", objective__window=3)
    Recorder.create(tmp_path / "run", experiment)
    stated = lab.Run(tmp_path / "run").record["predicts"]
    assert stated == {"prediction head 1": "token t+1", "prediction head 2": "tokens t+1 to t+3, without order"}


def train_with_stages(experiment: Experiment, weights_at: Callable[[int], list[float]]) -> dict[str, torch.Tensor]:
    """Train in plain torch with an optimiser for each weight, which steps only if a trained head uses the weight."""
    network, settings = build(experiment), experiment.optimiser
    optimisers = {
        name: torch.optim.AdamW([weight], lr=settings.peak_lr, betas=(settings.beta1, settings.beta2),
                                weight_decay=settings.weight_decay * (weight.ndim > 1))
        for name, weight in network.named_parameters()
    }  # fmt: skip
    for step, part in zip(range(experiment.steps), Feed(experiment), strict=False):
        weights = weights_at(step)
        targets = part.targets.tokens
        hidden = network(part.inputs.tokens_BS)
        losses = [
            weight * F.cross_entropy((hidden[i] @ network.unembedding.weight.T).flatten(0, 1), targets[i].flatten())
            for i, weight in enumerate(weights) if weight
        ]  # fmt: skip
        network.zero_grad()
        sum(losses).backward()
        idle = tuple(f"heads.layers.{i}." for i, weight in enumerate(weights) if not weight)
        used = {name: weight for name, weight in network.named_parameters() if not name.startswith(idle)}
        torch.nn.utils.clip_grad_norm_(used.values(), settings.clip_norm)
        for name in used:
            optimisers[name].param_groups[0]["lr"] = settings.peak_lr * rate_factor(step, experiment)
            optimisers[name].step()
    return network.state_dict()


SCHEDULES: list[tuple[dict[str, object], Callable[[int], list[float]]]] = [
    ({"objective__active": "up"}, lambda step: [1, step >= 4, step >= 8]),
    ({"objective__active": "down"}, lambda step: [1, step < 8, step < 4]),
    ({"objective__active": [[0, 3], [5, 1]]}, lambda step: [1, step < 5, step < 5]),
    ({"objective__active": [[0, 1], [5, 3]]}, lambda step: [1, step >= 5, step >= 5]),
    ({"objective__weights": "far", "objective__extra_weight": 0.5}, lambda step: [1, 0, 0.5]),
    ({"objective__weights": "mean", "objective__extra_weight": 0.3}, lambda step: [1, 0.15, 0.15]),
    ({"objective__weights": [2, 1, 0], "objective__active": [[0, 1], [6, 3]]}, lambda step: [2, step >= 6, 0]),
    ({"objective__active": "fade"}, lambda step: [1, min(1, max(0, 2 - step / 4)), max(0, 1 - step / 4)]),
    ({"objective__stages": [{"until": 0.5, "start": [1, 1, 0], "end": [2, 0.25, 0]}, {"until": 1, "start": [1, 0, 0.5]}]},
     lambda step: [1 + step / 6, 1 - step / 8, 0] if step < 6 else [1, 0, 0.5]),
    ({"objective__weights": "decay", "objective__extra_weight": 0.5, "objective__normalised": True},
     lambda step: [4 / 7, 2 / 7, 1 / 7]),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "weights_at"), SCHEDULES)
def test_weights_and_schedules_agree_with_a_plain_loop(
    tmp_path: Path, settings: dict[str, object], weights_at: Callable[[int], list[float]]
) -> None:
    experiment = tiny(n_future=3, model__layers=5, evaluation__every=12, evaluation__measures__induction=0, **settings)
    wanted = train_with_stages(experiment, weights_at)
    for accumulate in (1, 2):
        run = lab.train(lab.override(experiment, {"grad_accum_steps": accumulate}), tmp_path / f"{accumulate}")
        found = run.model().state_dict()
        for name, weight in wanted.items():
            assert (found[name] - weight).norm() <= 2e-5 * weight.norm(), (accumulate, name)


def test_a_users_own_objective_is_found_by_its_path(tmp_path: Path) -> None:
    own = lab.train(tiny(objective__name="tests.helpers.users_objective:backwards"), tmp_path / "own")
    assert own.metrics() != lab.train(tiny(), tmp_path / "plain").metrics()
    assert {"train/loss/1", "train/loss/2"} <= {row.metric for row in own.metrics()}
