"""The conditions and tasks of the study, and what is expected of them; fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tasks
from lab.reproduce.comparison.configuration import Family

YES, NO = "yes", "no"
QUESTIONS = ("further heads", "more positions", "more parameters", "looks ahead", "exact offset", "space")
"""Columns of the figure: what an objective has that next-token prediction has not."""
NEXT_TOKEN, SUM = "next token", "sum"
"""The condition without any ingredient, and the one that all others are compared with."""


@dataclass(frozen=True)
class Condition:
    """A condition.

    Attributes:
        settings: What distinguishes it; `{window}` stands for the task's.
        facts: Answers to `QUESTIONS`.
        needs_answer: Whether it needs a task with an answer.
    """

    settings: Mapping[str, Any]
    facts: tuple[str, str, str, str, str, str]
    needs_answer: bool = False


WINDOW, WEIGHT = "objective.window", "objective.extra_weight"
NAME = "objective.name"
VOCABULARY = "V"
"""Stands for the task's number of tokens in the settings of a condition."""
CONDITIONS: Mapping[str, Condition] = {
    NEXT_TOKEN: Condition({"n_future": 1}, (NO, NO, NO, NO, "-", "token")),
    SUM: Condition({"n_future": 2}, (YES, NO, NO, YES, YES, "token")),
    "head depth": Condition(
        {"n_future": 2, "model.heads": "bare", "model.head_layer": 2}, ("no layers", NO, NO, YES, YES, "token")
    ),
    "sequential": Condition({"n_future": 2, "model.heads": "sequential"}, (YES, NO, "layer", YES, YES, "token")),
    "joint": Condition({"n_future": 2, "model.heads": "joint"}, (YES, NO, "layer", YES, YES, "token")),
    "headless": Condition(
        {NAME: "headless", "objective.weights": "decay", "objective.extra_weight": 0.5, "objective.active": "fade"},
        (NO, NO, NO, YES, "mixed", "token"),
    ),
    "bag": Condition({"n_future": 2, NAME: "bag"}, (YES, NO, NO, YES, NO, "token")),
    "future bag": Condition({"n_future": 2, NAME: "future_bag"}, (YES, NO, NO, YES, NO, "token")),
    "future bag, x V": Condition({"n_future": 2, NAME: "future_bag", WEIGHT: VOCABULARY}, (YES, NO, NO, YES, NO, "token")),
    "order": Condition({"n_future": 2, NAME: "order"}, (YES, NO, NO, YES, "order", "token")),
    "hinge": Condition({NAME: "hinge"}, (NO, NO, NO, YES, "order", "token")),
    "next latent": Condition({NAME: "next_latent"}, (NO, NO, "module", YES, YES, "latent")),
    "registers": Condition({NAME: "registers", "objective.weights": [0.7, 0.3]}, (NO, YES, "embedding", YES, YES, "token")),
    "masked inputs": Condition({"objective.teacherless": 0.5}, (NO, NO, NO, "if hidden", "-", "token"), needs_answer=True),
    "coarse": Condition(
        {NAME: "coarse", "objective.weights": [1, 0.25], "objective.active": "fade"}, (NO, NO, NO, NO, "-", "token")
    ),
    "shuffled": Condition({"n_future": 2, NAME: "shuffled"}, (YES, NO, NO, "nothing", "-", "token")),
}
"""Every condition. Windows are the task's; at equal depth all heads without layers of their own sit on the whole trunk.

`future bag` divides its loss by the vocabulary, which makes it small beside the next token's; `x V` takes the division back.
"""


@dataclass(frozen=True)
class Bench:
    """A task on which the conditions are compared.

    Attributes:
        settings: Settings that all conditions share.
        window: Tokens ahead that objectives with a window use.
        metric: The accuracy that is learnt.
        label: The metric in words.
        escaped: Accuracy that counts as an escape at two evaluation points in a row.
        solved: Accuracy that counts as a solution, and ends a run; None where no run reaches one.
        expectation: What the runs were expected to show.
        has_answer: Whether an instance is a prompt and its answer.
        rates: Peak learning rates that are tried for each condition.
        stepping_stone: Metric of head 2's accuracy on a token that is easier and that the solution needs, and this token in
            words; added after runs on agreement had been seen.
    """

    settings: Mapping[str, Any]
    window: int
    metric: str
    label: str
    escaped: float
    solved: float | None
    expectation: str
    has_answer: bool = False
    rates: tuple[float, float, float] = (1e-3, 2e-3, 4e-3)
    stepping_stone: tuple[str, str] | None = None


BENCHES: Mapping[str, Bench] = {
    "agreement": Bench(
        {"model.width": 64, "model.layers": 4, "batch_size": 128, "steps": 900, "evaluation.every": 25},
        window=3,
        metric="accuracy/case_first/1",
        label="accuracy on the case",
        escaped=0.6,
        solved=0.9,
        expectation="""\
What teaches is the question for the case, or for the verb, asked at the key (results/agreement, results/terms).
Objectives that ask it there escape within the 900 steps in at least 7 of 8 seeds: sum, head depth, sequential, joint, \
headless, bag, future bag (both), order and hinge.
Objectives that ask it nowhere, or elsewhere, escape in at most 1 of 8: next token, coarse, shuffled.
Registers ask it at a position after the key, from where the key must be fetched first, as the next-token question must: at \
most 2 of 8.
Next latent regresses a state that does not hold the case yet while the model is on the plateau: at most 2 of 8.
(After this was written and before the first run of the study, single runs at other settings were seen in which hinge and both \
future bags had not escaped after 0.8 M tokens: these three are in doubt.)""",
        stepping_stone=("accuracy/case_first/2", "the case, asked at the key"),
    ),
    "star": Bench(
        {
            "task.degree": 2,
            "task.arm": 4,
            "task.nodes": 8,
            "model.width": 64,
            "model.layers": 4,
            "batch_size": 32,
            "steps": 2500,
            "evaluation.every": 100,
        },
        window=3,
        metric="accuracy/turn/1",
        label="accuracy on the first step",
        escaped=0.6,
        solved=0.95,
        expectation="""\
In results/star a second head gave no more escapes than one head, 3 and 4 of 8 within 12,000 steps at an untuned rate.
Published claims, each from another size and loop: head depth, joint, future bag, next latent and masked inputs solve stars \
that next-token prediction does not.
Expected: these five solve in at least 6 of 8 seeds; next token, sum, sequential, coarse and shuffled in 2 to 5 of 8.
With eight seeds the paired test finds a difference only where nearly all pairs agree.
(The plan was 12 node ids, 5 layers and 12,000 steps, 12 hours on two cores; it is 8 ids, 4 layers and 2500 steps, two hours.
It was shortened after twelve single runs of next token and sum on one seed had been seen, at 1.5 to 3 thousand steps.
Of these, at 4 layers and rates of 2e-3, 4e-3 and 8e-3, next token ended at 0.53, 0.36 and 0.27, and sum at 0.96, 0.99 and 0.30.
The expectation for next token and sum, from the longer plan, is in doubt.)""",
        has_answer=True,
        stepping_stone=("accuracy/follow/2", "the goal's predecessor, asked at the goal"),
    ),
    "stories": Bench(
        {"task.names": 500, "model.width": 64, "model.layers": 4, "batch_size": 16, "steps": 320, "evaluation.every": 40},
        window=4,
        metric="accuracy/second_again/1",
        label="accuracy on second names",
        escaped=0.2,
        solved=None,
        rates=(4e-3, 8e-3, 1.6e-2),
        expectation="""\
The second token of a name follows its first at once, so that no question is asked earlier by looking farther ahead.
Expected: no objective differs from the sum by more than 0.1 in accuracy at the end with a corrected p of at most 0.10.
(After this was written, results/fig7 and results/s14 found the sum ahead of the next token by about 0.2 at this width: next \
token is in doubt.
The plan was 1500 steps of 32 sequences, 10 hours on two cores; it is 320 steps of 16 with higher rates, one and a half.
It was shortened after ten single runs of next token, sum and head depth had been seen.)""",
    ),
}
SHARED: Mapping[str, Any] = {
    "model.matched": "layers",
    "evaluation.examples": 256,
    "evaluation.measures.induction": 0,
}
SCALES: Mapping[str, tuple[str, ...]] = {"laptop": tuple(BENCHES)} | {name: (name,) for name in BENCHES}
"""Tasks of each scale: all, or one, whose runs the whole study shares."""
TUNING_SEEDS, SEEDS = (900, 901), range(560, 568)


def conditions_of(task: str) -> dict[str, dict[str, Any]]:
    """Return the settings of each condition on a task."""
    bench = BENCHES[task]
    own = {name.removeprefix("task."): value for name, value in bench.settings.items() if name.startswith("task.")}
    vocabulary = tasks.get(task, **own).vocab_size
    return {
        name: {"n_future": 1, WINDOW: bench.window}
        | {key: vocabulary if value == VOCABULARY else value for key, value in condition.settings.items()}
        for name, condition in CONDITIONS.items()
        if bench.has_answer or not condition.needs_answer
    }


def family_of(task: str) -> Family:
    """Return the conditions of a task and their metric, as a family that is compared with the sum."""
    bench = BENCHES[task]
    thresholds = {"escaped": bench.escaped, "solved": bench.solved}
    return Family(
        settings={"task": task, **SHARED, **bench.settings},
        conditions=conditions_of(task),
        baseline=SUM,
        metric=bench.metric,
        label=bench.label,
        **thresholds,
    )
