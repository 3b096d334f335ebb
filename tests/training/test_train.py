import logging
import math
from pathlib import Path

import pytest
import torch

import lab
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, Targets, future_targets, multi_head_loss
from lab.training.fit import quiet_lightning
from lab.training.learning_rate import rate_factor
from lab.training.module import TrainingModule
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    """Train a tiny run."""
    return lab.train(tiny(), tmp_path_factory.mktemp("train") / "run")


def train_in_plain_torch(experiment: Experiment) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Train in plain torch with whole batches and naive clipping; return the final weights and the norm at each step."""
    network = build(experiment)
    settings = experiment.optimiser
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    norm_weights = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": norm_weights, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.peak_lr, betas=(settings.beta1, settings.beta2))
    norms = []
    for step in range(experiment.steps):
        batch = experiment.task.batch(experiment.seed, step, experiment.batch_size, "train")
        tokens, scored = torch.from_numpy(batch.tokens), torch.from_numpy(batch.scored)
        targets = future_targets(tokens, scored, experiment.n_future)
        with torch.autocast("cpu", torch.bfloat16, enabled=experiment.precision == "bfloat16"):
            loss = multi_head_loss(
                network(tokens), network.unembedding.weight, Targets(targets), (targets != IGNORE).sum((1, 2))
            ).total
        optimiser.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(float(weight.grad.norm()) ** 2 for weight in network.parameters()))
        norms.append(norm)
        if settings.clip_norm is not None and norm > settings.clip_norm:
            for weight in network.parameters():
                weight.grad *= settings.clip_norm / (norm + 1e-6)
        for group in optimiser.param_groups:
            group["lr"] = settings.peak_lr * rate_factor(step, experiment)
        optimiser.step()
    return network.state_dict(), norms


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-5), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("clip", [0.05, None])
def test_training_agrees_with_plain_torch(
    tmp_path: Path, accumulate: int, precision: str, tolerance: float, clip: float | None
) -> None:
    experiment = tiny(grad_accum_steps=accumulate, precision=precision, optimiser__clip_norm=clip, steps=6)
    wanted, norms = train_in_plain_torch(experiment)
    run = lab.train(experiment, tmp_path / "run")
    found = run.model().state_dict()
    for name, weight in wanted.items():
        assert (found[name] - weight).norm() <= tolerance * weight.norm(), name
    noted = [row.value for row in run.metrics() if row.metric == "train/gradient_norm"]
    assert noted == pytest.approx([sum(norms[:3]) / 3, sum(norms[3:]) / 3], rel=max(tolerance, 1e-4))
    assert min(norms) > 0.05, "the norm must be above the clip for this to test anything"


def test_the_same_experiment_gives_the_same_bytes(run: lab.Run, tmp_path: Path) -> None:
    again = lab.train(tiny(), tmp_path / "again")
    for file in ("metrics.csv", "experiment.yaml", "model.safetensors"):
        assert (again.path / file).read_bytes() == (run.path / file).read_bytes()


def test_another_seed_gives_other_numbers(run: lab.Run, tmp_path: Path) -> None:
    assert lab.train(tiny(seed=1), tmp_path / "run").metrics() != run.metrics()


def test_a_run_records_its_experiment_and_environment(run: lab.Run) -> None:
    assert run.experiment == tiny()
    assert run.state == "finished"
    assert {"format", "versions", "commit", "host", "seed", "wall_seconds", "fingerprint"} <= set(run.record)
    assert run.record["predicts"] == {"prediction head 1": "token t+1", "prediction head 2": "token t+2"}
    assert run.record["sees"] == {"prediction head 1": "tokens up to t", "prediction head 2": "tokens up to t"}
    assert run.record["flops_per_step"] == run.experiment.flops_per_step
    assert run.record["non_embedding_parameters"] == run.model().non_embedding_parameters()
    assert sorted(path.name for path in run.path.iterdir()) == [
        "experiment.yaml", "metrics.csv", "model.safetensors", "run.json", "timing.csv",
    ]  # fmt: skip
    assert sorted({row.step for row in run.metrics()}) == [0, 3, 6, 9, 12]
    assert {row.tokens for row in run.metrics() if row.step == 6} == {6 * 4 * 12}
    model = run.model()
    assert not model.training
    assert model(torch.zeros(1, 5, dtype=torch.int64)).shape == (2, 1, 5, 8)


def test_training_learns(tmp_path: Path) -> None:
    experiment = tiny(steps=150, model__width=32, n_future=1, batch_size=16, evaluation__every=50)
    losses = [row.value for row in lab.train(experiment, tmp_path / "run").metrics() if row.metric == "loss/all/1"]
    assert losses[-1] < losses[0] - 0.5


def test_lightning_gives_no_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    lab.train(tiny(), tmp_path / "run")
    assert not [str(warning.message) for warning in recwarn if "lightning" in warning.filename]


def test_norm_weights_do_not_decay() -> None:
    optimiser = TrainingModule(tiny()).configure_optimizers()["optimizer"]
    decayed, kept = optimiser.param_groups
    assert all(weight.ndim == 2 for weight in decayed["params"])
    assert all(weight.ndim == 1 for weight in kept["params"])
    assert kept["weight_decay"] == 0.0


def test_quiet_lightning_restores_the_level_of_its_logger() -> None:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    with quiet_lightning():
        assert logger.level == logging.ERROR
    assert logger.level == level
