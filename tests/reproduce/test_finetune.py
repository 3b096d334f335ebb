"""Fine-tuning in stages: every run starts from a run of the first stage, and on other data."""

from pathlib import Path

import pytest

from lab.reproduce.comparison.plan import condition_of
from lab.reproduce.finetune import ADDED, COMPARISON, FIRST, STARTS, STUDY, TUNED
from lab.runs import Run
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run


@pytest.fixture
def first(tmp_path: Path) -> list[Run]:
    """Return the finished runs of the first stage, the last seed first."""
    experiments = grid_experiments(STUDY.stages("laptop")[0].largest)
    return [make_run(tmp_path / name, experiment) for name, experiment in reversed(experiments.items())]


def test_each_seed_starts_from_another_run(first: list[Run]) -> None:
    _, tuned, added = STUDY.stages("laptop")
    for name, sweep in ((TUNED, tuned.plan(first)), (ADDED, added.plan([]))):
        for run, experiment in grid_experiments(sweep).items():
            start = STARTS[name].get(condition_of(COMPARISON.families[name].conditions, run))
            if start is None:
                assert experiment.init is None
                continue
            initial = Run(experiment.init or "")
            assert condition_of(COMPARISON.families[FIRST].conditions, initial.name) == start
            assert experiment.seed - initial.experiment.seed == COMPARISON.seeds[0] - min(run.experiment.seed for run in first)


def test_runs_that_start_from_a_run_fit_it_and_see_other_data(first: list[Run]) -> None:
    seeds = {run.experiment.seed for run in first}
    for stage in STUDY.stages("laptop")[1:]:
        for experiment in grid_experiments(stage.largest).values():
            assert experiment.seed not in seeds
            assert experiment.trunk_layers == first[0].experiment.trunk_layers
            assert experiment.task.vocab_size == first[0].experiment.task.vocab_size


def test_conditions_of_all_stages_are_those_of_the_page() -> None:
    for stage, (name, family) in zip(STUDY.stages("laptop"), COMPARISON.families.items(), strict=True):
        assert {condition_of(family.conditions, run) for run in grid_experiments(stage.largest)} == set(family.conditions)
        assert set(STARTS.get(name, {}).values()) <= set(COMPARISON.families[FIRST].conditions)
