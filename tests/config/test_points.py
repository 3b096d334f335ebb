"""The steps at which a run is measured, and those at which it keeps its weights."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config.points import evaluation_points, thinned

RULES = {"steps": st.integers(1, 5000), "every": st.none() | st.integers(1, 700), "per_decade": st.none() | st.integers(1, 20)}


@given(**RULES)
@settings(max_examples=60, deadline=None)
def test_points_are_both_ends_and_regular_and_log_spaced(steps: int, every: int | None, per_decade: int | None) -> None:
    regular = {step for step in range(steps) if every is not None and step % every == 0}
    exponents = [k / per_decade for k in range(4 * per_decade)] if per_decade is not None else []
    spaced = {round(10**exponent) for exponent in exponents if 10**exponent <= steps}
    assert evaluation_points(steps, every, per_decade) == sorted({0, steps} | regular | spaced)


def test_each_decade_has_equally_many_log_spaced_points() -> None:
    assert evaluation_points(1000, None, 3) == [0, 1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]


@given(**RULES)
@settings(max_examples=60, deadline=None)
def test_thinned_points_are_few_and_near_each_log_step(steps: int, every: int | None, per_decade: int | None) -> None:
    points = evaluation_points(steps, every, per_decade)
    kept = thinned(points)
    assert set(kept) <= set(points)
    assert (kept[0], kept[-1]) == (0, steps)
    assert len(kept) <= 8 * math.log10(steps) + 3
    for target in (10 ** (k / 8) for k in range(int(8 * math.log10(steps)) + 1)):
        assert min(point for point in points if point >= round(target)) in kept
