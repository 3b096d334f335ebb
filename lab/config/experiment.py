"""The typed description of an experiment; everything else is derived from it.

Every class is frozen and rejects unknown names and wrong values at construction, naming the setting.
"""

from __future__ import annotations

import functools
import hashlib
import json
from bisect import bisect_right
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

import tasks
from lab.config import cost
from lab.config.budget import BudgetSettings
from lab.config.checkpoint import CheckpointSettings
from lab.config.evaluation import EvaluationSettings
from lab.config.kinds import find_kind
from lab.config.model import ModelSettings
from lab.config.objective import ObjectiveSettings
from lab.config.objective_table import OBJECTIVES, Shape
from lab.config.schema import to_schema_1
from lab.config.settings import Settings
from tasks import Task


class OptimiserSettings(Settings):
    """AdamW with decoupled weight decay on matrices (the paper's Tab S13)."""

    peak_lr: float = Field(3e-3, gt=0)
    """Peak learning rate. The objective is a sum over heads: see docs/experiments.md for what it means when n_future grows."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of AdamW's mean of gradients."""
    beta2: float = Field(0.95, ge=0, lt=1)
    """Decay of AdamW's mean of squared gradients."""
    epsilon: float = Field(1e-8, ge=0)
    """AdamW's epsilon, added to the root of the mean of squared gradients."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay, of matrices alone."""
    clip_norm: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient of a whole step; null for none."""


class ScheduleSettings(Settings):
    """Linear warm-up to the peak, then cosine decay to a fraction of it at the last step."""

    warmup_steps: int = Field(50, ge=0)
    """Steps in which the learning rate rises to its peak; below `steps`, and by default a tenth of them where they are few."""
    decay_ratio: float = Field(0.03, ge=0, le=1)
    """Last learning rate as a fraction of the peak."""

    def check(self, steps: int) -> None:
        """Raise a ValueError if the schedule does not fit the number of steps."""
        if self.warmup_steps >= steps:
            raise ValueError(f"schedule.warmup_steps must be below steps = {steps}, not {self.warmup_steps}")


def _plain(task: Task) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(task.description))
    return plain


def _read_task(description: object, info: ValidationInfo) -> Task:
    return tasks.from_description(description, check_files=(info.context or {}).get("check_files", True))


class Experiment(Settings):
    """One training run, from data to numbers."""

    task: Annotated[Task, BeforeValidator(_read_task), PlainSerializer(_plain)]
    n_future: int = Field(1, ge=1)
    """Prediction heads: head i predicts token t + i."""
    model: ModelSettings = ModelSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    init: str | None = None
    """A finished run from whose weights training begins; null for random ones. Optimiser, schedule and data begin anew."""
    steps: int = Field(600, ge=1)
    """Optimiser steps; of n = 1, where `model.matched` is `flops` or `time` and `budget.steps` is not resolved yet."""
    budget: BudgetSettings = BudgetSettings()
    batch_size: int = Field(32, ge=1)
    """Sequences of one optimiser step, over all devices and microbatches."""
    grad_accum_steps: int = Field(1, ge=1)
    """Microbatches into which a device splits its share of a step, to save memory."""
    examples: int | None = Field(None, ge=1)
    """Size of a finite training set, walked in a new order each epoch; null for fresh data at every step."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of the data and the initial weights. Runs that differ in n_future alone see the same data."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products and, on a CPU, of attention patterns; weights, norms and the optimiser stay float32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind; `auto` takes a GPU if there is one."""
    devices: int = Field(1, ge=1)
    """Devices; above 1 for data-parallel training."""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several devices share the work: `ddp`, the choice of `auto`, keeps everything on each; `fsdp` shards weights,
    gradients and optimiser, for models from about 300M parameters."""
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """Mode of `torch.compile` for training steps; `reduce-overhead` adds CUDA graphs. Numbers change by rounding."""
    threads: int = Field(1, ge=1)
    """CPU threads. Two runs at a time with one thread each are faster than one at a time with two."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_network()
        self.schedule.check(self.steps)
        self.evaluation.check(self.steps)
        self.evaluation.stop.check(self.task, self.n_future)
        self.checkpoint.check(self.evaluation, self.steps)
        self._check_devices()
        if self.examples is not None and self.examples < self.batch_size:
            raise ValueError(f"examples must be at least batch_size = {self.batch_size}, not {self.examples}")
        self.objective.check(self.n_future, self.steps)
        if self.objective.name in OBJECTIVES:
            self.check_objective()
        if self.objective.terms is not None:
            forced = find_kind(self.model.heads).teacher_forced
            self.objective.check_terms(self.n_future, self.task, teacher_forced=forced)
        if self.objective.teacherless and not self.task.has_answer:
            raise ValueError(f"objective.teacherless must be false for {self.task.name}: there is no answer to hide")
        if self.objective.detached and find_kind(self.model.heads).on_path and self.n_future > 1:
            raise ValueError(
                f"objective.detached must be false with model.heads {self.model.heads}: "
                "prediction heads 2..n are layers of the next-token path"
            )
        return self

    def check_objective(self) -> None:
        """Raise a ValueError if settings beside `objective` do not fit its losses."""
        kind, name = self.objective.kind, self.objective.name
        if self.evaluation.measures["gradients"] and not kind.plain:
            raise ValueError(
                f"evaluation.measures.gradients must be 0 with objective.name {name}, "
                f"not {self.evaluation.measures['gradients']}: its losses are not those of prediction heads alone"
            )
        if self.strategy == "fsdp" and kind.parameters(self.model):
            raise ValueError(f"strategy must be ddp with objective.name {name}, not fsdp, which shards the network alone")

    def _check_network(self) -> None:
        n = self.n_future
        if self.trunk_layers < 1:
            raise ValueError(_no_trunk(self.model, n))
        if self.model.head_layer is not None and self.model.head_layer > self.trunk_layers:
            raise ValueError(
                f"model.head_layer must be at most {self.trunk_layers}, the trunk layers at n_future = {n}, "
                f"not {self.model.head_layer}"
            )
        self.budget.check(self.model, needed=self.model.matched == "time" and not self.is_next_token)
        if self.budget.steps is not None and self.steps != self.affordable_steps:
            raise ValueError(
                f"steps must be {self.affordable_steps}, at equal {self.model.matched} to budget.steps = {self.budget.steps} "
                f"of n = 1, not {self.steps} (or set budget.steps to null, and steps to those of n = 1)"
            )
        if n >= self.task.length:
            raise ValueError(f"n_future must be below {self.task.length}, the sequence length of {self.task.name}, not {n}")

    def _check_devices(self) -> None:
        if self.batch_size % (self.devices * self.grad_accum_steps):
            raise ValueError(
                f"batch_size must be a multiple of devices x grad_accum_steps = {self.devices} x {self.grad_accum_steps}, "
                f"not {self.batch_size}"
            )
        if self.strategy != "auto" and self.devices == 1:
            raise ValueError(f"strategy must be auto with devices = 1, not {self.strategy!r}: there is nothing to share")
        if self.strategy == "fsdp" and self.compile != "none":
            raise ValueError(f"compile must be none with strategy fsdp, not {self.compile!r}: layers are gathered one by one")

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any setting, and with nothing else: not with order, machine or process.

        They are a digest of the settings in schema 1 (see `lab.config.schema`).
        """
        settings = to_schema_1(self.model_dump(mode="json"), _defaults(type(self)), self.task)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def positions_per_step(self) -> int:
        """Positions of one optimiser step, with padding: those computed, not the tokens seen."""
        return self.batch_size * self.task.length

    @property
    def trunk_layers(self) -> int:
        """Layers that all prediction heads share; see `cost.trunk_layers`."""
        return cost.trunk_layers(self.model, self.n_future)

    @property
    def affordable_steps(self) -> int:
        """Optimiser steps that the budget allows; `steps` without a budget."""
        if self.budget.steps is None:
            return self.steps
        return self.budget.pays_for(Fraction(self.flops_per_step, self._plain_flops))

    @property
    def non_embedding_parameters(self) -> int:
        """Parameters of trunk, prediction heads and norms."""
        return cost.non_embedding_parameters(self.model, self.n_future)

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of an optimiser step, forward and backward, with padding; see `cost.flops_per_token`."""
        each = cost.flops_per_token(self.model, self.n_future, self.task.length, self.task.vocab_size)
        sizes = self.task.length, self.task.vocab_size, self.task.longest_answer
        shape = Shape(self.model, self.n_future, self.objective.window, *sizes)
        return each * self.positions_per_step + self.objective.kind.flops(shape) * self.batch_size

    @property
    def auxiliary_parameters(self) -> int:
        """Parameters of the objective's own modules, which are no part of the network."""
        return self.objective.kind.parameters(self.model)

    @property
    def _plain_flops(self) -> int:
        """Floating-point operations of an optimiser step of next-token prediction with the same settings."""
        return cost.flops_per_token(self.model, 1, self.task.length, self.task.vocab_size) * self.positions_per_step

    @property
    def is_next_token(self) -> bool:
        """Whether a step costs what one of next-token prediction does: the run needs no budget."""
        return self.n_future == 1 and self.flops_per_step == self._plain_flops


@functools.cache
def _defaults(kind: type[BaseModel], group: str = "") -> dict[str, Any]:
    """Return the default of every setting by its dotted name."""
    found: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= _defaults(field.annotation, f"{group}{name}.")
        elif not field.is_required():
            found[f"{group}{name}"] = field.default
    return found


def _no_trunk(model: ModelSettings, n: int) -> str:
    """Explain that there are more prediction heads than the layers allow."""
    most = bisect_right(range(1, n), False, key=lambda fewer: cost.trunk_layers(model, fewer) < 1)
    if not most:
        return (
            f"model.layers must be more than {model.layers}, which leaves no trunk below a single {model.heads} prediction head"
        )
    matching = {"parameters": "at equal parameters ", "layers": "at equal depth "}.get(model.matched, "")
    other = "" if model.matched == "none" else " (or set model.matched to none)"
    return (
        f"n_future must be at most {most}, not {n}: {matching}{n} {model.heads} prediction heads "
        f"leave no trunk of model.layers = {model.layers}{other}"
    )
