"""Objectives with losses of another form agree with naive twins in float64: each loss, and the gradient of their sum."""

import pytest
import torch

from lab.config import Experiment
from lab.config.objective_table import OBJECTIVES
from lab.training.feed import Feed
from lab.training.module import TrainingModule
from tests.helpers.tiny import tiny
from tests.helpers.twins import TWINS

TASKS = pytest.mark.parametrize("task", ["induction", "star"])


def experiment_of(name: str, task: str, n: int, replicated: bool = False) -> Experiment:
    more = {"model__heads": "replicated"} if replicated else {}
    return tiny(task, objective__name=name, objective__window=3, n_future=n, batch_size=2, objective__weights="decay",
                objective__extra_weight=0.7, model__layers=4, **more)  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize(("n", "replicated"), [(1, False), (2, False), (2, True)])
@TASKS
def test_losses_and_gradients_agree_with_the_naive_ones(name: str, task: str, n: int, replicated: bool) -> None:
    experiment = experiment_of(name, task, n, replicated)
    module, feed = TrainingModule(experiment), Feed(experiment)
    perturb(module.double())
    total = module.training_step(feed.microbatches(0)[0], 0)
    naive = TWINS[name](module, feed.batch(0))
    assert tuple(naive) == experiment.objective.losses(n)
    torch.testing.assert_close(module.totals[:-3].double(), torch.stack(list(naive.values())), rtol=1e-5, atol=1e-6)
    wanted = sum(0.7**number * loss for number, loss in enumerate(naive.values()))
    assert isinstance(wanted, torch.Tensor)
    torch.testing.assert_close(total, wanted, rtol=1e-6, atol=1e-8)
    weights = dict(module.named_parameters())
    found, expected = (
        torch.autograd.grad(loss, list(weights.values()), allow_unused=True, materialize_grads=True) for loss in (total, wanted)
    )
    for key, one, other in zip(weights, found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7, msg=key)


def perturb(module: torch.nn.Module) -> None:
    """Perturb every weight, since weights that start at zero give no gradient to those before them."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


def test_every_objective_of_another_form_has_a_twin() -> None:
    assert set(TWINS) == {name for name, kind in OBJECTIVES.items() if not kind.plain}
