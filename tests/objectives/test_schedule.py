"""Weights of losses over training: stages, the rules that define them, and what is rejected."""

import pytest
import torch

import lab
from lab.config.objective_table import OBJECTIVES
from lab.errors import LabError
from lab.objectives.schedule import Stage, make_stages, stage_at
from lab.training.feed import Feed
from lab.training.module import TrainingModule
from tests.helpers.tiny import tiny


def weights_at(experiment: lab.Experiment, step: int) -> tuple[float, ...]:
    stages = make_stages(experiment)
    return stages[stage_at(stages, step)].at(step)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(("n", "window"), [(1, 3), (3, 2)])
def test_fading_ends_with_head_1_alone(name: str, n: int, window: int) -> None:
    settings = {"objective__name": name, "objective__window": window, "objective__active": "fade", "n_future": n}
    experiment = tiny(steps=120, model__layers=5, **settings)
    count = len(experiment.objective.losses(n))
    for step in range(120):
        faded = step * count / 120  # number of losses, from the last, that are faded; a fraction is a partly faded loss
        wanted = [1.0] + [min(1.0, max(0.0, count - number - faded)) for number in range(1, count)]
        assert weights_at(experiment, step) == pytest.approx(wanted), step


def test_a_stage_moves_from_its_start_towards_its_end() -> None:
    stages = [{"until": 0.25, "start": [1, 0]}, {"until": 1, "start": [1, 1], "end": [2, 0]}]
    experiment = tiny(steps=16, objective__stages=stages)
    assert make_stages(experiment) == [Stage(0, 4, (1.0, 0.0), (1.0, 0.0)), Stage(4, 16, (1.0, 1.0), (2.0, 0.0))]
    for step, wanted in {0: (1, 0), 3: (1, 0), 4: (1, 1), 10: (1.5, 0.5), 15: (2 - 1 / 12, 1 / 12)}.items():
        assert weights_at(experiment, step) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("settings", "stages"),
    [
        ({"active": "up"}, [{"until": 0.5, "start": [1, 0]}, {"until": 1, "start": [1, 1]}]),
        (
            {"active": "fade", "weights": [1, 0.5]},
            [{"until": 0.5, "start": [1, 0.5], "end": [1, 0]}, {"until": 1, "start": [1, 0]}],
        ),
        ({"weights": "decay", "extra_weight": 0.25}, [{"until": 1, "start": [1, 0.25]}]),
    ],
)  # fmt: skip
def test_rules_are_special_cases_of_stages(settings: dict[str, object], stages: list[dict[str, object]]) -> None:
    rule, table = tiny(**{f"objective__{name}": value for name, value in settings.items()}), tiny(objective__stages=stages)
    assert make_stages(rule) == make_stages(table)


def test_normalised_weights_sum_to_one() -> None:
    settings = {"objective__weights": "decay", "objective__extra_weight": 0.5, "n_future": 2}
    experiments = [tiny(**settings, objective__normalised=normalised) for normalised in (False, True)]
    plain, divided = (TrainingModule(each).training_step(Feed(each).microbatches(0)[0], 0) for each in experiments)
    torch.testing.assert_close(divided * 1.5, plain)


def test_a_loss_that_enters_within_a_stage_is_trained() -> None:
    stages = [{"until": 0.5, "start": [1, 0, 1], "end": [1, 1, 0]}, {"until": 1, "start": [1, 1, 0]}]
    experiment = tiny(n_future=3, model__layers=5, objective__stages=stages)
    assert [stage.trained for stage in make_stages(experiment)] == [(1, 2, 3), (1, 2)]


def test_uneven_stages_of_a_curriculum_begin_at_whole_steps() -> None:
    for active, trained in (("up", [1, 2, 3]), ("down", [3, 2, 1])):
        stages = make_stages(tiny(steps=11, n_future=3, model__layers=5, objective__active=active))
        assert [(stage.step, stage.until, len(stage.trained)) for stage in stages] == [
            (0, 3, trained[0]), (3, 7, trained[1]), (7, 11, trained[2]),
        ]  # fmt: skip


GROWING = "objective.stages must end at growing shares of the 12 steps, the last at 1, not at"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": [{"until": 1, "start": [1]}]}, "objective.stages must be 2 numbers, one for each prediction head, not 1"),
        ({"stages": [{"until": 1, "start": [1, 1], "end": [1]}]}, "objective.stages must be 2 numbers"),
        ({"stages": []}, rf"{GROWING} \[\]"),
        ({"stages": [{"until": 0.5, "start": [1, 1]}]}, rf"{GROWING} \[0.5\]"),
        ({"stages": [{"until": 0.7, "start": [1, 1]}, {"until": 0.3, "start": [1, 1]}]}, GROWING),
        ({"stages": [{"until": 0.01, "start": [1, 1]}, {"until": 1, "start": [1, 1]}]}, GROWING),
        ({"stages": [{"until": 1.5, "start": [1, 1]}]}, r"objective.stages.0.until must be at most 1"),
        ({"stages": [{"until": 1, "start": [0, 1]}]}, "stages.0.start must be a list that begins with head 1's"),
        ({"stages": [{"until": 1, "start": [1, 1], "end": [1, -1]}]}, "stages.0.end must be a list of numbers from 0"),
        ({"stages": [{"until": 1, "start": [1, 1]}], "active": "up"}, "replaces objective.weights, extra_weight and active"),
        ({"stages": "fade"}, "objective.stages must be"),
        ({"name": "headless", "window": 2, "weights": [1, 1]}, r"must be 3 numbers, one for each loss \(1, 2, ahead_2\)"),
        ({"name": "headless", "detached": True}, "objective.detached must be false with objective.name headless, not True"),
        ({"active": "fading"}, "objective.active must be one of all, up, down, fade"),
    ],
)  # fmt: skip
def test_impossible_weights_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(LabError, match=message):
        tiny(**{f"objective__{name}": value for name, value in settings.items()})
