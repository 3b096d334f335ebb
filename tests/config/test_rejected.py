"""Settings that contradict their ranges, the task or each other: one line names the setting and what is allowed."""

import re
from typing import Any

import pytest

import lab
from tasks import TaskError
from tests.helpers.tiny import tiny_settings


def wrong(phrase: str, settings: dict[str, Any], message: str, task: str = "induction") -> object:
    """Return a test case: its name, settings of which some are wrong, the message with ` ... ` for any words, and the task."""
    return pytest.param(task, settings, message, id=phrase)


WRONG = [
    wrong("negative points", {"evaluation.measures": {"gradients": -1}}, "gradients must be a whole number"),
    wrong("as many prediction heads as layers", {"n_future": 3}, "n_future must be at most 2, not 3 ... model.layers = 3"),
    wrong("as many prediction heads as tokens", {"n_future": 12, "model.matched": "none"}, "n_future must be below 12"),
    wrong("negative seed", {"seed": -1}, "seed must be at least 0"),
    wrong("no steps", {"steps": 0}, "steps must be at least 1"),
    wrong("true for a number", {"seed": True}, "seed must be a whole number, not True"),
    wrong("prediction heads as a list", {"n_future": [1, 2]}, "n_future must be a whole number"),
    wrong("seed too large", {"seed": 9223372036854775808}, "seed must be"),
    wrong("sequences that do not divide", {"grad_accum_steps": 3}, "multiple of devices x grad_accum_steps = 1 x 3"),
    wrong("width that attention heads do not divide", {"model.width": 9}, "model.width must be an even multiple"),
    wrong("odd width of an attention head", {"model.width": 6}, "model.width must be an even multiple of model.n_heads = 2"),
    wrong("no trunk layer", {"model.head_layer": 0}, "model.head_layer must be at least 1"),
    wrong(
        "trunk layer that is not there",
        {"model.head_layer": 2, "n_future": 2},
        "model.head_layer must be at most 1, the trunk layers at n_future = 2, not 2",
    ),
    wrong(
        "trunk layer that heads cannot read",
        {"model.head_layer": 1, "model.heads": "causal"},
        "model.head_layer must be null with model.heads causal, not 1: the prediction heads of parallel, ... read the trunk",
    ),
    wrong("unknown size", {"model.size": "2M"}, "model.size must be one of 1M ... '2M'"),
    wrong("size as a list", {"model.size": ["1M"]}, "model.size must be one of 1M ... ['1M']"),
    wrong("size that contradicts the width", {"model.size": "1M", "model.width": 64}, "model.width must be 128"),
    wrong("unknown heads", {"model.heads": "diagonal"}, "model.heads must be one of parallel, linear ... not 'diagonal'"),
    wrong(
        "sequential heads beyond the layers",
        {"model.layers": 6, "model.heads": "sequential", "n_future": 5},
        "n_future must be at most 4, not 5: at equal parameters 5 sequential prediction heads leave no trunk",
    ),
    wrong(
        "anticausal heads beyond the depth",
        {"model.heads": "anticausal", "n_future": 3, "model.matched": "layers"},
        "n_future must be at most 2, not 3: at equal depth 3 anticausal prediction heads leave no trunk of model.layers = 3",
    ),
    wrong(
        "anticausal heads as probes",
        {"model.heads": "anticausal", "n_future": 2, "objective.detached": True},
        "objective.detached must be false with model.heads anticausal",
    ),
    wrong(
        "one layer for trunk and head",
        {"model.layers": 1, "model.matched": "none"},
        "model.layers must be more than 1, which leaves no trunk below a single parallel prediction head",
    ),
    wrong("budget without matching", {"budget.steps": 4}, "budget.steps must be null with model.matched parameters"),
    wrong(
        "step time without equal time",
        {"model.matched": "flops", "budget.step_time": 1.5},
        "budget.step_time must be null with model.matched flops, not 1.5",
    ),
    wrong(
        "steps that the budget does not pay for",
        {"model.matched": "flops", "n_future": 2, "budget.steps": 4},
        "at equal flops to budget.steps = 4 of n = 1, not 4",
    ),
    wrong("unknown objective", {"objective.name": "fun"}, "objective.name must be one of sum, shuffled ... not 'fun'"),
    wrong("teacherless without an answer", {"objective.teacherless": True}, "objective.teacherless must be false"),
    wrong("unknown weights", {"objective.weights": "heavy"}, "objective.weights must be one of uniform, mean, decay, far"),
    wrong("weights as text", {"objective.weights": [1, "x"]}, "objective.weights must be ... a list of numbers"),
    wrong("weight beyond any gradient", {"n_future": 2, "objective.weights": [1, 1e300]}, "a list of numbers from 0 to 1e+09"),
    wrong("further weight beyond any gradient", {"objective.extra_weight": 1e300}, "objective.extra_weight must be at most 1"),
    wrong(
        "weight that grows beyond any gradient",
        {"n_future": 3, "model.layers": 4, "objective.weights": "decay", "objective.extra_weight": 1e6},
        "objective.extra_weight must be at most 3.16e+04 with objective.weights decay",
    ),
    wrong("negative weight", {"n_future": 2, "objective.weights": [1, -1]}, "a list of numbers from 0"),
    wrong("weights without head 1", {"objective.weights": [0]}, "must be a list that begins with head 1's weight"),
    wrong("too many weights", {"objective.weights": [1, 1]}, "objective.weights must be 1 numbers ... not 2"),
    wrong(
        "lambda beside a list",
        {"objective.weights": [1], "objective.extra_weight": 0.5},
        "objective.extra_weight is the number of a rule",
    ),
    wrong("unknown curriculum", {"objective.active": "sideways"}, "objective.active must be one of all, up, down"),
    wrong("stages that are no pairs", {"objective.active": [1, 2]}, "pairs of [step, heads]"),
    wrong("stages that begin late", {"objective.active": [[1, 1]]}, "steps that grow from 0, not [1]"),
    wrong("stages that go back", {"objective.active": [[0, 1], [3, 1], [2, 1]]}, "steps that grow from 0"),
    wrong("stage of too many heads", {"objective.active": [[0, 2]]}, "between 1 and n_future = 1 heads, not 2"),
    wrong("stage after the end", {"objective.active": [[0, 1], [4, 1]]}, "before steps = 4, not at step 4"),
    wrong(
        "more stages than steps",
        {"steps": 2, "n_future": 3, "model.matched": "none", "objective.active": "up"},
        "steps must be at least 3",
    ),
    wrong("warm-up longer than the run", {"schedule.warmup_steps": 4}, "schedule.warmup_steps must be below steps = 4"),
    wrong("evaluation every zero steps", {"evaluation.every": 0}, "evaluation.every must be at least 1"),
    wrong("finite set below a batch", {"examples": 3}, "examples must be at least batch_size = 4"),
    wrong("strategy of one device", {"strategy": "fsdp"}, "strategy must be auto with devices = 1, not 'fsdp'"),
    wrong("sharding compiled", {"strategy": "fsdp", "devices": 2, "compile": "default"}, "compile must be none"),
    wrong("period that runs backwards", {"task.period": [9, 3]}, "induction.period"),
    wrong("answer where there is none", {"task.loss_on": "answer"}, "induction.loss_on ... there is no answer"),
    wrong("stories with one character", {"task.characters": [1, 2]}, "stories.characters", task="stories"),
]


@pytest.mark.parametrize(("task", "settings", "message"), WRONG)
def test_a_wrong_setting_is_named_with_what_is_allowed(task: str, settings: dict[str, Any], message: str) -> None:
    tiny = tiny_settings(task, steps=4, schedule__warmup_steps=1)
    expected = ".*".join(map(re.escape, message.split(" ... ")))
    with pytest.raises((lab.LabError, TaskError), match=expected) as caught:
        lab.experiment(task, tiny | settings)
    assert "\n" not in str(caught.value)
