import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lab
from lab.config.points import evaluation_points, thinned
from lab.training.learning_rate import rate_factor


@given(st.integers(1, 5000), st.none() | st.integers(1, 700), st.none() | st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_points_have_both_ends_and_follow_the_rules(steps: int, every: int | None, per_decade: int | None) -> None:
    points = evaluation_points(steps, every, per_decade)
    assert points == sorted(set(points))
    assert (points[0], points[-1]) == (0, steps)
    if every is not None:
        assert set(range(every, steps, every)) <= set(points)
    if per_decade is not None and steps >= 10:
        assert {1, 10} <= set(points)
    if every is None and per_decade is None:
        assert points == [0, steps]


def test_each_decade_has_equally_many_log_spaced_points() -> None:
    assert evaluation_points(1000, None, 3) == [0, 1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]


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


@given(st.integers(1, 5000), st.none() | st.integers(1, 700), st.none() | st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_thinned_points_are_few_and_near_each_log_step(steps: int, every: int | None, per_decade: int | None) -> None:
    points = evaluation_points(steps, every, per_decade)
    kept = thinned(points)
    assert set(kept) <= set(points)
    assert (kept[0], kept[-1]) == (0, steps)
    assert len(kept) <= 8 * math.log10(steps) + 3
    for target in (10 ** (k / 8) for k in range(int(8 * math.log10(steps)) + 1)):
        assert min(point for point in points if point >= round(target)) in kept
