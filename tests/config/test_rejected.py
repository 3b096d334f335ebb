"""Settings that contradict their ranges, the task or each other: one line names the setting and what is allowed."""

from typing import Any

import pytest

import lab
from tasks import TaskError
from tests.helpers.tiny import tiny_settings

WRONG = [
    pytest.param(
        "induction", {"evaluation.measures": {"gradients": -1}}, "gradients must be a whole number", id="negative points"
    ),
    pytest.param(
        "induction",
        {"n_future": 3},
        "n_future must be at most 2, not 3 ... model.layers = 3",
        id="as many prediction heads as layers",
    ),
    pytest.param(
        "induction", {"n_future": 12, "model.matched": "none"}, "n_future must be below 12", id="heads beyond the row"
    ),
    pytest.param("induction", {"seed": -1}, "seed must be at least 0", id="negative seed"),
    pytest.param("induction", {"steps": 0}, "steps must be at least 1", id="no steps"),
    pytest.param("induction", {"seed": True}, "seed must be a whole number, not True", id="true for a number"),
    pytest.param("induction", {"n_future": [1, 2]}, "n_future must be a whole number", id="prediction heads as a list"),
    pytest.param("induction", {"seed": 9223372036854775808}, "seed must be", id="seed too large"),
    pytest.param(
        "induction", {"grad_accum_steps": 3}, "multiple of devices x grad_accum_steps = 1 x 3", id="rows that do not divide"
    ),
    pytest.param(
        "induction", {"model.width": 9}, "model.width must be an even multiple", id="width that attention heads do not divide"
    ),
    pytest.param(
        "induction",
        {"model.width": 6},
        "model.width must be an even multiple of model.n_heads = 2",
        id="odd width of an attention head",
    ),
    pytest.param("induction", {"model.head_layer": 0}, "model.head_layer must be at least 1", id="no trunk layer"),
    pytest.param(
        "induction",
        {"model.head_layer": 2, "n_future": 2},
        "model.head_layer must be at most 1, the trunk layers at n_future = 2, not 2",
        id="trunk layer that is not there",
    ),
    pytest.param(
        "induction",
        {"model.head_layer": 1, "model.heads": "causal"},
        "model.head_layer must be null with model.heads causal, not 1: the prediction heads of parallel, ... read the trunk",
        id="trunk layer that heads cannot read",
    ),
    pytest.param("induction", {"model.size": "2M"}, "model.size must be one of 1M ... '2M'", id="unknown size"),
    pytest.param(
        "induction", {"model.size": "1M", "model.width": 64}, "model.width must be 128", id="size that contradicts the width"
    ),
    pytest.param(
        "induction",
        {"model.heads": "diagonal"},
        "model.heads must be one of parallel, linear ... not 'diagonal'",
        id="unknown heads",
    ),
    pytest.param(
        "induction",
        {"model.layers": 6, "model.heads": "sequential", "n_future": 5},
        "n_future must be at most 4, not 5: at equal parameters 5 sequential prediction heads leave no trunk",
        id="sequential heads beyond the layers",
    ),
    pytest.param(
        "induction",
        {"model.heads": "anticausal", "n_future": 3, "model.matched": "layers"},
        "n_future must be at most 2, not 3: at equal depth 3 anticausal prediction heads leave no trunk of model.layers = 3",
        id="anticausal heads beyond the depth",
    ),
    pytest.param(
        "induction",
        {"model.heads": "anticausal", "n_future": 2, "objective.detached": True},
        "objective.detached must be false with model.heads anticausal",
        id="anticausal heads as probes",
    ),
    pytest.param(
        "induction",
        {"model.layers": 1, "model.matched": "none"},
        "model.layers must be more than 1, which leaves no trunk below a single parallel prediction head",
        id="one layer for trunk and head",
    ),
    pytest.param(
        "induction",
        {"budget.steps": 4},
        "budget.steps must be null with model.matched parameters",
        id="budget without matching",
    ),
    pytest.param(
        "induction",
        {"model.matched": "flops", "budget.step_time": 1.5},
        "budget.step_time must be null with model.matched flops, not 1.5",
        id="step time without equal time",
    ),
    pytest.param(
        "induction",
        {"model.matched": "flops", "n_future": 2, "budget.steps": 4},
        "at equal flops to budget.steps = 4 of n = 1, not 4",
        id="steps that the budget does not pay for",
    ),
    pytest.param(
        "induction",
        {"objective.name": "fun"},
        "objective.name must be one of sum, shuffled ... not 'fun'",
        id="unknown objective",
    ),
    pytest.param(
        "induction", {"objective.teacherless": True}, "objective.teacherless must be false", id="teacherless without an answer"
    ),
    pytest.param(
        "induction",
        {"objective.weights": "heavy"},
        "objective.weights must be one of uniform, mean, decay, far",
        id="unknown weights",
    ),
    pytest.param(
        "induction", {"objective.weights": [1, "x"]}, "objective.weights must be ... a list of numbers", id="weights as text"
    ),
    pytest.param("induction", {"n_future": 2, "objective.weights": [1, -1]}, "a list of numbers from 0", id="negative weight"),
    pytest.param("induction", {"objective.weights": [0]}, "must begin with head 1's, above 0", id="weights without head 1"),
    pytest.param(
        "induction", {"objective.weights": [1, 1]}, "objective.weights must be 1 numbers ... not 2", id="too many weights"
    ),
    pytest.param(
        "induction",
        {"objective.weights": [1], "objective.extra_weight": 0.5},
        "objective.extra_weight is the number of a rule",
        id="lambda beside a list",
    ),
    pytest.param(
        "induction", {"objective.active": "sideways"}, "objective.active must be one of all, up, down", id="unknown curriculum"
    ),
    pytest.param("induction", {"objective.active": [1, 2]}, "pairs of [step, heads]", id="stages that are no pairs"),
    pytest.param("induction", {"objective.active": [[1, 1]]}, "steps that grow from 0, not [1]", id="stages that begin late"),
    pytest.param(
        "induction", {"objective.active": [[0, 1], [3, 1], [2, 1]]}, "steps that grow from 0", id="stages that go back"
    ),
    pytest.param(
        "induction", {"objective.active": [[0, 2]]}, "between 1 and n_future = 1 heads, not 2", id="stage of too many heads"
    ),
    pytest.param(
        "induction", {"objective.active": [[0, 1], [4, 1]]}, "before steps = 4, not at step 4", id="stage after the end"
    ),
    pytest.param(
        "induction",
        {"steps": 2, "n_future": 3, "model.matched": "none", "objective.active": "up"},
        "steps must be at least 3",
        id="more stages than steps",
    ),
    pytest.param(
        "induction",
        {"schedule.warmup_steps": 4},
        "schedule.warmup_steps must be below steps = 4",
        id="warm-up longer than the run",
    ),
    pytest.param("induction", {"evaluation.every": 0}, "evaluation.every must be at least 1", id="evaluation every zero steps"),
    pytest.param("induction", {"examples": 3}, "examples must be at least batch_size = 4", id="finite set below a batch"),
    pytest.param(
        "induction", {"strategy": "fsdp"}, "strategy must be auto with devices = 1, not 'fsdp'", id="strategy of one device"
    ),
    pytest.param(
        "induction", {"strategy": "fsdp", "devices": 2, "compile": "default"}, "compile must be none", id="sharding compiled"
    ),
    pytest.param("induction", {"task.period": [9, 3]}, "induction.period", id="period that runs backwards"),
    pytest.param(
        "induction", {"task.loss_on": "answer"}, "induction.loss_on ... there is no answer", id="answer where there is none"
    ),
    pytest.param("stories", {"task.characters": [1, 2]}, "stories.characters", id="stories with one character"),
]
"""Cases: a task, settings of which some are wrong, and the parts of the message in order."""


@pytest.mark.parametrize(("task", "settings", "message"), WRONG)
def test_a_wrong_setting_is_named_with_what_is_allowed(task: str, settings: dict[str, Any], message: str) -> None:
    tiny = tiny_settings(task, steps=4, schedule__warmup_steps=1)
    with pytest.raises((lab.LabError, TaskError)) as caught:
        lab.experiment(task, tiny | settings)
    assert "\n" not in str(caught.value)
    for part in message.split(" ... "):
        assert part in str(caught.value)
