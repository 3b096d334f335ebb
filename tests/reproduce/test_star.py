from pathlib import Path

import pandas as pd

import lab
from lab.config import Experiment
from lab.reproduce import star
from lab.reproduce.plateau.plan import condition_of, folder_name
from lab.sweeping import Sweep
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run


def planned_sweep() -> Sweep:
    (only,) = star.STUDY.stages("laptop")
    return only.largest


def curve(experiment: Experiment, escape_at: int | None) -> dict[int, dict[str, float]]:
    """Return a curve whose accuracy on the turn jumps at a step."""
    steps = range(0, experiment.steps + 1, 1000)
    values = {step: 0.5 if escape_at is None or step < escape_at else 0.99 for step in steps}
    of_head_2 = {step: {star.PLATEAU.stepping_stone: float(step >= 2000)} if experiment.n_future == 2 else {} for step in steps}
    return {step: {star.PLATEAU.metric: value, "exact": value, **of_head_2[step]} for step, value in values.items()}


def test_conditions_share_all_that_they_do_not_set() -> None:
    planned = grid_experiments(planned_sweep())
    assert len(planned) == len(star.PLATEAU.conditions) * 8
    assert len({(each.seed, each.task.fingerprint) for each in planned.values()}) == 8
    plain = planned["n1-seed100"]
    for condition, settings in star.PLATEAU.conditions.items():
        assert lab.override(plain, settings) == planned[f"{folder_name(condition)}-seed100"]
        assert condition_of(star.PLATEAU, f"{folder_name(condition)}-seed100") == condition


def test_the_depth_control_has_the_next_token_path_of_two_heads() -> None:
    planned = grid_experiments(planned_sweep())
    shorter, two = planned["n1-depth-of-n2-seed100"], planned["n2-seed100"]
    assert shorter.trunk_layers + 1 == two.trunk_layers + 1 == planned["n1-seed100"].trunk_layers


def test_the_page_follows_from_the_runs(tmp_path: Path) -> None:
    runs = []
    for name, experiment in grid_experiments(planned_sweep()).items():
        condition = condition_of(star.PLATEAU, name)
        escape = (
            3000 + 1000 * (experiment.seed % 2)
            if condition == "n = 2" or (condition == "n = 1" and experiment.seed == 100)
            else None
        )
        runs.append(make_run(tmp_path / "runs" / name, experiment, curve(experiment, escape)))
    written = star.STUDY.report("laptop", [runs], tmp_path)
    assert {path.name for path in written} == {
        "survival.png", "survival.csv", "emergence.png", "emergence.csv", "frame.csv.gz", "report.md"
    }  # fmt: skip
    page = (tmp_path / "report.md").read_text()
    assert "| n = 2 | 8 of 8 [0.69, 1.00] | 8 of 8 [0.69, 1.00] | 0.990 [0.990, 0.990]" in page
    assert "| n = 1 | 1 of 8 [0.01, 0.47] | 1 of 8 [0.01, 0.47] | 0.561 |" in page, "a mean of two peaks has no interval"
    assert "the same 256 sequences" in page
    assert "| n = 2, detached | 8 | 8 | " + " ".join(["1.09"] * 8) + " |" in page
    survival = pd.read_csv(tmp_path / "survival.csv")
    assert survival.groupby("condition")["share"].last().to_dict() == {
        "n = 1": 0.875, "n = 1, depth of n = 2": 1.0, "n = 2": 0.0, "n = 2, detached": 1.0, "n = 2, shuffled": 1.0
    }  # fmt: skip
