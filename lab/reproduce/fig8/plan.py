"""The plan of Fig 8: what was expected, the settings of each scale, and the sweep of each stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.config import Experiment
from lab.config.presets import PAPER
from lab.evaluation.evaluator import draw_variants
from lab.reproduce import Stage, fixed_stage
from lab.reproduce.atlas.plan import CONDITION, ONE, condition
from lab.runs import Run, frame
from lab.stats.configurations import seed_table, tuning_values
from lab.sweeping import Sweep
from lab.sweeping.spec.files import from_mapping

EXPECTATION = f"""\
The paper finds more than one prediction head better at every number of operations, clearly so out of domain, at 30M and 100M \
parameters in F_7[X]/(X^5); the gain is about the same with 5 or 10 pause tokens, and tripling the model helps less than \
further heads.
At this scale we expect none of it:

1. Two heads and one do not differ reliably, neither in domain (1 to 5 operations) nor out of domain (6 to 10), at equal \
parameters and at equal depth: each of the four mean differences is at most 0.03 in size.
2. Four heads at equal parameters, whose next-token path has 3 layers instead of 6, are worse in domain by 0.02 or more; at \
equal depth they are within 0.03 of one head in both domains.
3. Out of domain all conditions are within 0.03 of `{ONE}`, and every mean is less than 0.15 above the level of the commonest \
answer.
4. Pause tokens change the gain of two heads by less than 0.03.
5. Tripling the model raises the accuracy in domain by 0.03 or more, and by more than two or four heads do.

The expectation comes from prototypes with another loop (F_3[X]/(X^2), 1 to 3 operations, one run each of two seeds: 0.50 to \
0.55 against 0.48 to 0.52 at three operations, 0.32 and 0.34 against 0.38 and 0.29 at four, which were not trained) and from \
the rule of `lab reproduce atlas`, by which further targets are no easier here than the next token: it speaks for a loss, \
not for a gain.

(Planned with batches of 128 sequences, ten hours on two cores; halved before the first run, to 160,000 sequences: the default \
experiment has 128,000, of 1 to 3 operations.)"""
COLUMNS = [
    *("size", "pause", CONDITION, "flops_per_step", "run", "seed", "state", "step", "tokens"),
    *("m", "in_domain", "majority", "expressions", "metric", "value"),
]
RATE, PAUSE = "optimiser.peak_lr", "task.pause"
COUNTS = (1, 2, 4)
"""Prediction heads."""
HEADLINE = "parameters"
"""Value of `model.matched` in all parts; `heads` has equal depth beside it."""


@dataclass(frozen=True)
class Part:
    """A part of the study.

    Attributes:
        size: The place of its models' size among those of a scale.
        pauses: Numbers of pause tokens.
        matched: Values of `model.matched`.
    """

    size: int = 0
    pauses: tuple[int, ...] = (0,)
    matched: tuple[str, ...] = (HEADLINE,)


PARTS: Mapping[str, Part] = {
    "heads": Part(matched=(HEADLINE, "layers")),
    "pause": Part(pauses=(5, 10)),
    "sizes": Part(size=1),
}
"""`pause` and `sizes` are compared with runs of `heads`, which therefore belong to every scale."""


@dataclass(frozen=True)
class Scale:
    """The settings of one scale of the study.

    Attributes:
        name: Of its sweeps; scales that share runs have the same.
        base: Settings that all runs share.
        sizes: Settings of the two model sizes, by name.
        seeds: Of the runs that are compared.
        rates: Peak learning rates to choose from; one: nothing is tuned.
        tuning_seeds: Of the runs that choose.
        matched: Values of `model.matched` that are trained.
        parts: Of `PARTS`.
        expectation: Written before the first run, for the page; empty if there was none.
    """

    name: str
    base: Mapping[str, Any]
    sizes: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    rates: Sequence[float]
    tuning_seeds: Sequence[int] = ()
    matched: Sequence[str] = (HEADLINE, "layers")
    parts: Sequence[str] = tuple(PARTS)
    expectation: str = ""


LAPTOP = Scale(
    name="laptop",
    base={
        "task": "polynomial",
        "task.operations": [1, 5],
        "task.test_operations": [1, 10],
        "model.layers": 6,
        "batch_size": 64,
        "steps": 2500,
        "evaluation.every": 1250,
        "evaluation.examples": 2000,
        "evaluation.measures.induction": 0,
        "compile": "default",
    },
    sizes={"293k": {"model.width": 64}, "899k": {"model.width": 112}},
    seeds=range(680, 688),
    rates=(1e-3, 2e-3, 4e-3),
    tuning_seeds=(900, 901),
    expectation=EXPECTATION,
)
SCALES: Mapping[str, Scale] = {
    "laptop": LAPTOP,
    "heads": replace(LAPTOP, parts=("heads",)),
    "pause": replace(LAPTOP, parts=("heads", "pause")),
    "sizes": replace(LAPTOP, parts=("heads", "sizes")),
    "paper": Scale(
        name="paper",
        base={
            "task": "polynomial",
            **{name: value for name, value in PAPER["polynomial"].items() if name != "model.size"},
            "evaluation.split": "test",
            "precision": "bfloat16",
            "compile": "default",
        },
        sizes={"30M": {"model.size": "30M", "accumulate": 16}, "100M": {"model.size": "100M", "accumulate": 32}},
        seeds=range(2),
        rates=(PAPER["polynomial"][RATE],),
        matched=(HEADLINE,),
    ),
}
"""`laptop`: all parts; `heads`, `pause`, `sizes`: one part, with the runs that it is compared with. `paper`: table S14."""


def stages(scale: str) -> list[Stage]:
    """Return the stages of a scale, in the order of `stage_names`."""
    chosen, rates = SCALES[scale], dict[str, Mapping[int, float]]()

    def choose(name: str, tuned: Sequence[Run]) -> Sweep:
        size = [*chosen.sizes][PARTS[name].size]
        if size not in rates and len(chosen.rates) > 1:
            rates[size] = best_rates(rate_values(tuned))
        return part_sweep(chosen, name, rates.get(size, dict.fromkeys(COUNTS, chosen.rates[0])))

    def stage_of(name: str) -> Stage:
        if name not in PARTS:
            return fixed_stage(tuning_sweep(chosen, name.removeprefix("rates-")), tunes=True)
        largest = part_sweep(chosen, name, dict.fromkeys(COUNTS, chosen.rates[0]))
        return Stage(largest, lambda before: choose(name, before))

    return [stage_of(name) for name in stage_names(scale)]


def stage_names(scale: str) -> list[str]:
    """Return the stages of a scale in order: its parts, and `rates-SIZE` before the first part of each size."""
    chosen, names = SCALES[scale], list[str]()
    for part in chosen.parts:
        tuning = f"rates-{[*chosen.sizes][PARTS[part].size]}"
        names += [part] if tuning in names or len(chosen.rates) == 1 else [tuning, part]
    return names


def tuning_sweep(scale: Scale, size: str) -> Sweep:
    """Return the sweep of every n and rate at a size, on validation and on seeds of its own."""
    base = {**scale.base, **scale.sizes[size], "task.test_operations": None}
    grid = {"n_future": [*COUNTS], RATE: [*scale.rates]}
    return _sweep(f"fig8-{scale.name}-rates-{size}", base, grid, scale.tuning_seeds)


def part_sweep(scale: Scale, name: str, rates: Mapping[int, float]) -> Sweep:
    """Return the sweep of a part on the test split, with the rate of each n."""
    part = PARTS[name]
    base = {**scale.base, **[*scale.sizes.values()][part.size], "evaluation.split": "test"}
    conditions = {"n1": {"n_future": 1, RATE: rates[1]}} | {
        f"n{n}-{matched}": {"n_future": n, "model.matched": matched, RATE: rates[n]}
        for matched in part.matched
        if matched in scale.matched
        for n in COUNTS[1:]
    }
    return _sweep(f"fig8-{scale.name}-{name}", base, {CONDITION: conditions, PAUSE: [*part.pauses]}, scale.seeds)


def _sweep(name: str, base: Mapping[str, Any], grid: Mapping[str, Any], seeds: Sequence[int]) -> Sweep:
    return from_mapping({"name": name, "base": base, "grid": grid, "seeds": [*seeds], "metrics": {"exact": "maximise"}})


def rate_values(tuned: Sequence[Run]) -> pd.DataFrame:
    """Return the accuracy in domain at the end of each tuning run: `n_future`, the rate, `seed`, `value`."""
    return tuning_values(frame(tuned), "exact")[["n_future", RATE, "seed", "value"]]


def best_rates(values: pd.DataFrame) -> dict[int, float]:
    """Return the rate with the best mean for each n; one at which a run diverged is not the best."""
    means = seed_table(values, ["n_future", RATE]).sort_values("mean", ascending=False, kind="stable")
    return {int(str(n)): float(rate) for n, rate in means.groupby("n_future")[RATE].first().items()}


def named_frame(scale: Scale, name: str, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the frame of a part: the accuracy at each number of operations m at every evaluation point.

    Returns:
        Columns `size`, `pause`, `condition`, `flops_per_step`, `run`, `seed`, `state`, `step`, `tokens`, `m`, `in_domain`,
        `majority` and `expressions` (see `levels`), `metric` and `value`.
    """
    rows, experiments = frame(runs), {run.name: run.experiment for run in runs}
    rows = rows[rows["metric"].str.fullmatch(r"m\d+:exact")]
    facts = pd.DataFrame(
        {
            "run": run,
            "size": [*scale.sizes][PARTS[name].size],
            "pause": each.task.settings["pause"],
            CONDITION: condition(each.n_future, each.model.matched),
            "flops_per_step": each.flops_per_step,
            "trained": each.task.settings["operations"][1],
        }
        for run, each in experiments.items()
    )
    named = rows[["run", "seed", "state", "step", "tokens", "metric", "value"]].merge(facts, on="run")
    named["m"] = named["metric"].str.extract(r"m(\d+)", expand=False).astype(int)
    first = {each.task.settings["pause"]: each for each in experiments.values()}
    measured = pd.concat([levels(each).assign(pause=pause) for pause, each in first.items()])
    named = named.merge(measured, on=["pause", "m"])
    return named.assign(in_domain=named["m"] <= named["trained"], run=f"{name}/" + named["run"])[COLUMNS]


def levels(experiment: Experiment) -> pd.DataFrame:
    """Count the sequences that runs of an experiment are measured on, for each number of operations.

    Returns:
        Columns `m`; `majority`, the accuracy of a model that always gives the commonest answer; `expressions`, how many
        different ones there are.
    """
    rows = []
    for name, batch in draw_variants(experiment).items():
        if name:
            tokens, answer = batch.tokens_BT.numpy(), batch.answer_B2.numpy()
            answers = [row[begin:end].tobytes() for row, (begin, end) in zip(tokens, answer, strict=True)]
            most = max(Counter(answers).values()) / len(answers)
            rows.append({"m": int(name[1:]), "majority": most, "expressions": len({row.tobytes() for row in tokens})})
    return pd.DataFrame(rows)
