"""The plan of a study of self-speculative decoding: one sweep of numbers of prediction heads and seeds."""

from __future__ import annotations

from lab.reproduce import Stage, fixed_stage
from lab.reproduce.speculation.configuration import Speculation
from lab.sweeping.spec.files import from_mapping


def stages(study: Speculation, scale: str) -> list[Stage]:
    """Return the only stage."""
    sweep = {
        "name": f"{study.name}-{scale}",
        "base": {"evaluation.split": "test", **study.scales[scale]},
        "grid": {"n_future": list(study.n_futures)},
        "seeds": list(study.seeds),
    }
    return [fixed_stage(from_mapping(sweep))]
