"""Callbacks of a training: measure and record the runs, and stop on a signal."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch

from lab.evaluation.evaluator import Evaluator
from lab.evaluation.points import kept_points, points_of
from lab.evaluation.state import has_finite_weights
from lab.metrics import NEXT_TOKEN_LOSS
from lab.runs.layout import kept_name
from lab.runs.run import Run
from lab.runs.weights import save_weights
from lab.runs.writer import Recorder
from lab.training.loggers import RunLoggers
from lab.training.module import TrainingModule
from lab.training.progress import Progress


class Measure(pl.Callback):
    """Measure and record the runs at the evaluation points, keep their weights, then write a checkpoint if one is due.

    Attributes:
        reached: Whether the run has reached what `evaluation.stop` names, so that training ends.
    """

    def __init__(self, recorders: Sequence[Recorder], progress: Progress, loggers: Sequence[RunLoggers] = ()) -> None:
        self._recorders, self._progress, self._loggers = recorders, progress, loggers
        self._experiment = experiment = recorders[0].experiment
        self._points = set(points_of(experiment))
        self._kept = set(kept_points(experiment)[:-1])  # the last step's are the trained weights
        self._evaluators: dict[int, Evaluator] = {}  # by the number of prediction heads
        self.reached, self._in_a_row = False, 0
        self._last_step = -1
        self._written = time.monotonic()
        self._since, self._from_tokens = self._written, [0] * len(recorders)

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self._last_step, self._from_tokens = trainer.global_step, tokens_seen(module)
        module.gather()
        if trainer.is_global_zero:
            experiments = {recorder.experiment.n_future: recorder.experiment for recorder in self._recorders}
            self._evaluators = {n: Evaluator(experiment, module.device) for n, experiment in experiments.items()}
            self._progress.start(trainer.global_step)
            for row in Run(self._recorders[0].run_path).metrics():
                self._count_towards_stop(row.step, {row.metric: row.value})
            if trainer.global_step == 0:
                self._measure(trainer, module, [{} for _ in self._recorders])
                self._keep_weights(module)
        self._since = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        if step == self._last_step:
            return  # not the last microbatch of a step
        self._last_step = step
        if trainer.is_global_zero:
            self._progress.advance(step)
        if step in self._points:
            bad_steps, training = module.first_bad_steps(), module.take_training_metrics()
            module.gather()
            if trainer.is_global_zero:
                self._record_diverged(module, bad_steps, self._measure(trainer, module, training))
                self._keep_weights(module)
            self._share_diverged(trainer, module)
            self._end_if_reached(trainer, module)
            if not self.reached and self._due(trainer) and self.sound_recorders(module):
                trainer.save_checkpoint(self._recorders[0].checkpoint_path(step))
                self._written = time.monotonic()
            self._since, self._from_tokens = time.monotonic(), tokens_seen(module)

    def check_weights(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Find the runs that have diverged since the last evaluation point, before a checkpoint replaces the last one."""
        bad_steps = module.first_bad_steps()
        module.gather()
        if trainer.is_global_zero:
            self._record_diverged(module, bad_steps, [has_finite_weights(network) for network in module.networks()])
        self._share_diverged(trainer, module)

    def sound_recorders(self, module: TrainingModule) -> list[Recorder]:
        """Return the recorders of the runs that have not diverged."""
        return [recorder for member, recorder in enumerate(self._recorders) if member not in module.diverged]

    def _record_diverged(self, module: TrainingModule, bad_steps: list[int | None], sound: list[bool]) -> None:
        """Record the runs with a loss, gradient or weight that is not finite."""
        for member, (recorder, bad_step) in enumerate(zip(self._recorders, bad_steps, strict=True)):
            if member not in module.diverged and (bad_step is not None or not sound[member]):
                module.diverged[member] = module.global_step if bad_step is None else bad_step
                recorder.set_diverged(module.diverged[member])

    def _keep_weights(self, module: TrainingModule) -> None:
        """Keep the weights of the runs that have not diverged, if those of this step are to be kept.

        A checkpoint of the step comes after them: a run that resumes from it has all kept weights of before.
        """
        if module.global_step in self._kept:
            dtype = getattr(torch, self._experiment.checkpoint.keep_precision)
            for member, (recorder, network) in enumerate(zip(self._recorders, module.networks(), strict=True)):
                if member not in module.diverged:
                    save_weights(network, recorder.run_path / kept_name(module.global_step), dtype)

    def _share_diverged(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Broadcast the diverged runs from the first process, and end training if no run is left."""
        if trainer.world_size > 1:
            module.diverged = trainer.strategy.broadcast(module.diverged)
        if not self.sound_recorders(module):
            trainer.should_stop = True

    def _count_towards_stop(self, step: int, values: Mapping[str, float]) -> None:
        """Count the evaluation points in a row, from the first after step 0, that meet what `evaluation.stop` names."""
        stop = self._experiment.evaluation.stop
        if step and stop.metric is not None and stop.metric in values:
            self._in_a_row = self._in_a_row + 1 if stop.is_met(values[stop.metric]) else 0

    def _end_if_reached(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """End training if the run has reached what `evaluation.stop` names; the first process decides."""
        held = self._in_a_row >= self._experiment.evaluation.stop.hold and not module.diverged
        reached = held and trainer.global_step < self._experiment.steps
        self.reached = trainer.strategy.broadcast(reached) if trainer.world_size > 1 else reached
        if self.reached:
            trainer.should_stop = True

    def _due(self, trainer: pl.Trainer) -> bool:
        """Return whether a checkpoint is due; the first process decides."""
        old_enough = time.monotonic() - self._written >= self._experiment.checkpoint.seconds
        due: bool = trainer.strategy.broadcast(old_enough) if trainer.world_size > 1 else old_enough
        return due and trainer.global_step < self._experiment.steps

    def _measure(self, trainer: pl.Trainer, module: TrainingModule, training: list[dict[str, float]]) -> list[bool]:
        """Measure and record each run that has not diverged, and return for each run whether its loss is finite."""
        step, now = trainer.global_step, time.monotonic()
        seen, elapsed = module.seen.view(-1, 2).tolist(), max(now - self._since, 1e-9)
        members = zip(self._recorders, module.networks(), training, seen, self._from_tokens, strict=True)
        finite = []
        for member, (recorder, network, means, (tokens, scored_tokens), before) in enumerate(members):
            finite.append(member not in module.diverged)
            if member in module.diverged:
                continue
            with trainer.precision_plugin.forward_context():
                values = self._evaluators[recorder.experiment.n_future](network, step, means, recorder.experiment)
            finite[member] = math.isfinite(values[NEXT_TOKEN_LOSS])
            recorder.record_metrics(step, tokens, scored_tokens, values, speed=(tokens - before) / elapsed)
            for logger in self._loggers[member : member + 1]:
                logger.log(step, values)
            self._progress.measured(step, values)
            self._count_towards_stop(step, values)
        return finite


def tokens_seen(module: TrainingModule) -> list[int]:
    """Return the tokens that each run of a module has seen."""
    tokens: list[int] = module.seen.view(-1, 2)[:, 0].tolist()
    return tokens


class StoppedAtOnce(BaseException):
    """Raised at a second signal, before the state is saved; Lightning would exit at a KeyboardInterrupt."""


class StopOnSignal(pl.Callback):
    """End training after the current step at a first signal, and at once at a second.

    Attributes:
        signal_number: The first signal; 0 if there was none.
        saving: Whether the state is being saved; signals then change nothing.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self.saving = False

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self.signal_number and not self.saving:
            raise StoppedAtOnce
        self.signal_number = self.signal_number or number

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # never stop within a step
        if trainer.strategy.reduce_boolean_decision(bool(self.signal_number), all=False):
            self.saving = trainer.should_stop = True
