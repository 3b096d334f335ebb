from collections.abc import Callable
from typing import Any

import pytest

from tests.sweeping.tiny import BASE


@pytest.fixture
def grid() -> Callable[..., dict[str, Any]]:
    """Grids of runs of a fraction of a second: n = 1, 2 on two seeds."""

    def make(base: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
        return {"name": "tiny", "base": BASE | (base or {}), "grid": {"n_future": [1, 2]}, "seeds": 2} | changed

    return make


@pytest.fixture
def search() -> Callable[..., dict[str, Any]]:
    """Searches over the rate and the width, by chance."""

    def make(base: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
        space = {"optimiser.peak_lr": {"kind": "log", "low": 1e-4, "high": 1e-1},
                 "model.width": {"kind": "int", "low": 8, "high": 16, "step": 8}}  # fmt: skip
        return {
            "name": "tiny", "base": BASE | (base or {}), "search": space, "budget": {"trials": 4}, "sampler": "random",
            "metrics": {"loss/all/1": "minimise"},
        } | changed  # fmt: skip

    return make
