"""The learning rate: linear warm-up, then a cosine, as torch's own schedulers have it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.training.learning_rate import rate_factor


def test_the_rate_warms_up_linearly_and_decays_by_a_cosine() -> None:
    experiment = lab.experiment(
        "induction", {"steps": 60, "schedule.warmup_steps": 10, "schedule.decay_ratio": 0.1, "optimiser.peak_lr": 1.0}
    )
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.1, end_factor=1.0, total_iters=9)
    for step in range(10):
        assert rate_factor(step, experiment) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        warm_up.step()
    cosine = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(cosine, T_max=49, eta_min=0.1)
    for step in range(10, 60):
        assert rate_factor(step, experiment) == pytest.approx(cosine.param_groups[0]["lr"])
        cosine.step()
        decay.step()
    assert rate_factor(59, experiment) == pytest.approx(0.1)


def test_warm_up_can_be_omitted() -> None:
    experiment = lab.experiment("induction", {"steps": 5, "schedule.warmup_steps": 0})
    assert rate_factor(0, experiment) == 1.0


@given(st.integers(1, 40), st.integers(0, 39), st.floats(0, 1))
def test_the_last_step_has_the_decay_ratio(steps: int, warmup: int, ratio: float) -> None:
    warmup = min(warmup, steps - 1)
    settings = {"steps": steps, "schedule.warmup_steps": warmup, "schedule.decay_ratio": ratio}
    experiment = lab.experiment("induction", settings)
    factors = [rate_factor(step, experiment) for step in range(steps)]
    assert factors[-1] == pytest.approx(ratio)
    assert factors[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert all(ratio - 1e-12 <= factor <= 1 for factor in factors[warmup:])
