"""Every kind of prediction heads trains: on short sequences of induction, as in the demo."""

from pathlib import Path

import pytest

import lab
from lab.config.kinds import KINDS
from lab.reproduce.demo_cases import CASES


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_within_300_steps(kind: str, tmp_path: Path) -> None:
    settings = {**CASES["induction"], "steps": 300, "evaluation.every": 50, "model.width": 64, "model.heads": kind}
    run = lab.train(lab.experiment("induction", settings, n_future=2), tmp_path / kind)
    curves: dict[str, list[float]] = {}
    for row in run.metrics():
        curves.setdefault(row.metric, []).append(row.value)
    shown = {name: [round(value, 3) for value in curves[name]] for name in ("loss/all/1", "loss/all/2", "accuracy/copy/1")}
    print(kind, run.experiment.trunk_layers, shown, run.record["wall_seconds"])
    for head in (1, 2):
        first, *_, last = curves[f"train/loss/{head}"]
        assert last < first - 0.2
    assert curves["loss/all/1"][-1] < curves["loss/all/1"][0] - 0.3
