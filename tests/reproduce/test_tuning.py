"""Stages that choose a rate: for every study that has one, a rate at which a run diverged is not chosen."""

from pathlib import Path

import pytest

from lab.config import Experiment
from lab.registry import load_object
from lab.reproduce import STUDIES, Study
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run

pytestmark = pytest.mark.process  # seconds each

TUNED = {
    (name, place): study
    for name, entry in STUDIES.items()
    for study in [load_object(entry.path, "study")]
    for place, stage in enumerate(study.stages("laptop"))
    if stage.tunes
}


def rates_of(experiments: dict[str, Experiment]) -> set[float]:
    return {each.optimiser.peak_lr for each in experiments.values()}


def test_tuned_stages_vary_the_rate_on_validation() -> None:
    for (_, place), study in TUNED.items():
        experiments = grid_experiments(study.stages("laptop")[place].largest)
        assert len(rates_of(experiments)) > 1
        assert {each.evaluation.split for each in experiments.values()} == {"validation"}


@pytest.mark.parametrize(("name", "place"), TUNED)
def test_a_rate_at_which_a_run_diverged_is_not_chosen(name: str, place: int, tmp_path: Path) -> None:
    study: Study = TUNED[name, place]
    tuning = study.stages("laptop")[place].largest
    (metric,) = tuning.metrics
    experiments = grid_experiments(tuning)
    best = max(rates_of(experiments))

    def choose(folder: Path, *, diverged: bool) -> set[float]:
        """Return the rates chosen if the best one gives 0.99 early and the others 0.91 late, and one run of it may diverge."""
        runs = []
        for run, each in experiments.items():
            half, end, fast = each.steps // 2, each.steps, each.optimiser.peak_lr == best
            lost = fast and diverged and each.seed == min(tuning.seeds)
            curve = {0: 0.0, half: 0.99, end: 0.99} if fast else {0: 0.0, half: 0.0, end - 2: 0.91, end: 0.91}
            curve = {step: value for step, value in curve.items() if not lost or step <= half}
            values = {step: {metric: value} for step, value in curve.items()}
            runs.append(make_run(folder / run, each, values, state="diverged" if lost else "finished"))
        return rates_of(grid_experiments(study.stages("laptop")[place + 1].plan(runs)))

    assert choose(tmp_path / "whole", diverged=False) == {best}
    assert best not in choose(tmp_path / "diverged", diverged=True)
