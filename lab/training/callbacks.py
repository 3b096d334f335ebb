"""What happens around the steps of a run: measuring and recording, stopping on Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import lightning.pytorch as pl

from lab.runs import metrics
from lab.runs.run import METRICS, TIMING
from lab.training.audit import GradientAudit
from lab.training.evaluation import Evaluator
from lab.training.module import TrainingModule
from lab.training.points import points_of
from lab.training.progress import Progress
from lab.training.recorder import Recorder


class Measure(pl.Callback):
    """Measures networks at the experiment's evaluation points, records it, and then writes a checkpoint if it is time."""

    def __init__(self, recorders: Sequence[Recorder], progress: Progress) -> None:
        self._recorders, self._progress = recorders, progress
        self._experiment = recorders[0].experiment
        self._points = set(points_of(self._experiment))
        self._evaluator: Evaluator | None = None
        self._audits: list[GradientAudit | None] = [None] * len(recorders)
        self._seen = -1
        self._written = time.monotonic()
        self._since, self._from_tokens = self._written, [0] * len(recorders)

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self._seen, self._from_tokens = trainer.global_step, tokens_seen(module)
        module.gather()
        if trainer.is_global_zero:
            self._evaluator = Evaluator(self._experiment, module.device)
            if self._experiment.evaluation.gradient_audit is not None:
                self._audits = [GradientAudit(recorder.experiment, module.device) for recorder in self._recorders]
            self._progress.start(trainer.global_step)
            if trainer.global_step == 0:
                self._measure(trainer, module, [{} for _ in self._recorders])
        self._since = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        if step == self._seen:
            return  # a part of a step
        self._seen = step
        if trainer.is_global_zero:
            self._progress.advance(step)
        if step in self._points:
            training = module.take_training_metrics()
            module.gather()
            if trainer.is_global_zero:
                self._measure(trainer, module, training)
            if self._due(trainer):
                trainer.save_checkpoint(self._recorders[0].checkpoint_path(step))
                self._written = time.monotonic()
            self._since, self._from_tokens = time.monotonic(), tokens_seen(module)

    def _due(self, trainer: pl.Trainer) -> bool:
        old_enough = time.monotonic() - self._written >= self._experiment.checkpoint.seconds
        due: bool = trainer.strategy.broadcast(old_enough) if trainer.world_size > 1 else old_enough
        return due and trainer.global_step < self._experiment.steps

    def _measure(self, trainer: pl.Trainer, module: TrainingModule, training: list[dict[str, float]]) -> None:
        assert self._evaluator is not None
        step, now = trainer.global_step, time.monotonic()
        seen, elapsed = module.seen.view(-1, 2).tolist(), max(now - self._since, 1e-9)
        members = zip(self._recorders, module.networks(), training, self._audits, seen, self._from_tokens, strict=True)
        for recorder, network, more, audit, (tokens, scored_tokens), before in members:
            with trainer.precision_plugin.forward_context():
                values = self._evaluator(network) | more
                if audit is not None:
                    values |= audit(network, step)
            metrics.append_metrics(recorder.run_path / METRICS, step, tokens, scored_tokens, values)
            row = (step, f"{recorder.seconds():.3f}", f"{(tokens - before) / elapsed:.0f}")
            metrics.append(recorder.run_path / TIMING, metrics.TIMING, [row])
            self._progress.measured(step, values)


def tokens_seen(module: TrainingModule) -> list[int]:
    """The tokens that each run of a module has seen."""
    tokens: list[int] = module.seen.view(-1, 2)[:, 0].tolist()
    return tokens


class StopOnInterrupt(pl.Callback):
    """Ctrl-C ends training after the current step; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Callable[[int, FrameType | None], Any] | int | None = None

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        try:
            self._before = signal.signal(signal.SIGINT, self._ask)
        except ValueError:  # not in the main thread: nobody can press Ctrl-C there
            self._before = None

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # never stop within a step
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        self._restore()

    def on_exception(self, trainer: pl.Trainer, module: Any, exception: BaseException) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
