"""Train one run from its experiment, or resume it."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import lightning.pytorch as pl

from lab.config import Experiment, resolve
from lab.errors import Diverged, Interrupted, LabError
from lab.evaluation.evaluator import load_measures
from lab.objectives import find_objective
from lab.processes import handling, rank
from lab.runs.checkpoint import check_checkpoint
from lab.runs.layout import WEIGHTS, checkpoint_step, checkpoints, default_path, remove_checkpoint
from lab.runs.run import Run
from lab.runs.weights import save_weights
from lab.runs.writer import NullRecorder, Recorder, check_free
from lab.training.callbacks import Measure, StopOnSignal, StoppedAtOnce
from lab.training.checkpoint_io import SafetensorsIO
from lab.training.devices import accelerator_name, check_accelerator
from lab.training.launch import OwnProcesses, check_launch, isolated_training, lost_process
from lab.training.loggers import RunLoggers, check_loggers, logger_record
from lab.training.memory import keep_freed_memory
from lab.training.module import TrainingModule
from lab.training.progress import Progress, default_progress
from lab.training.sharding import ShardedStrategy
from lab.training.start import start_from

_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def train(
    experiment: Experiment,
    out: Path | str | None = None,
    *,
    progress: Progress | None = None,
    loggers: Sequence[str] = (),
) -> Run:
    """Train one experiment.

    Args:
        experiment: The experiment, which `lab.resolve` resolves first if necessary.
        out: The run's folder, which must not exist; by default `runs/<task>-n<n_future>-seed<seed>-<fingerprint>`.
        progress: Shows the progress; by default a notebook shows it, a script nothing.
        loggers: `tensorboard`, `wandb`, `mlflow`: where else metrics are logged; see `lab.training.loggers`. They change no
            number and never fail the run.

    Raises:
        LabError: If the folder exists or cannot be written, the accelerator is missing, the steps cannot be resolved, the
            run to start from does not fit, or a logger is unknown or not installed.
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything saved.
        Diverged: If a loss or gradient is not finite.
    """
    experiment = resolve(experiment)
    path = Path(out) if out is not None else default_path(experiment)
    if rank() == 0:
        check_free(path)
    check_ready(experiment)
    more = logger_record(check_loggers(loggers))
    with isolated_training(experiment):
        module = TrainingModule(experiment)
        started = more if experiment.init is None else more | {"init": start_from(module.network, experiment)}
        with closing(NullRecorder(path, experiment) if rank() else Recorder.create(path, experiment, started)) as recorder:
            fit(module, [recorder], progress or default_progress(experiment))
    return Run(path)


def resume(run: Run | Path | str, *, progress: Progress | None = None) -> Run:
    """Resume a run that was stopped or killed; it ends with exactly the metrics of an uninterrupted run, in its loggers too.

    Raises:
        LabError: If the folder is no run, the run is finished, another process trains it, its checkpoint is cut short, or its
            task's files have changed.
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything saved.
        Diverged: If a loss or gradient is not finite.
    """
    run = run if isinstance(run, Run) else Run(run)
    if run.state == "finished":
        raise LabError(f"{run.path}: is finished; nothing to resume")
    run.check_data()
    check_ready(run.experiment)
    reopened = NullRecorder(run.path, run.experiment) if rank() else Recorder.reopen(run.path)
    with closing(reopened) as recorder, isolated_training(run.experiment):
        checkpoint = run.checkpoint()
        module = TrainingModule(run.experiment)
        if checkpoint is not None:  # reject a damaged one before anything changes
            check_checkpoint(checkpoint)
        elif run.experiment.init is not None:
            start_from(module.network, run.experiment, run.record.get("init", {}).get("weights", ""))
        recorder.rewind(-1 if checkpoint is None else checkpoint_step(checkpoint))
        fit(module, [recorder], progress or default_progress(run.experiment), checkpoint)
    return Run(run.path)


def check_ready(experiment: Experiment) -> None:
    """Reject an experiment that these processes, this machine, its objective or its measures cannot train, before it begins.

    Raises:
        LabError: Naming the setting and what is possible.
    """
    check_launch(experiment)
    check_accelerator(experiment)
    find_objective(experiment)
    load_measures(experiment)


def fit(
    module: TrainingModule,
    recorders: Sequence[Recorder],
    progress: Progress,
    checkpoint: Path | None = None,
    io: SafetensorsIO | None = None,
) -> None:
    """Train the runs of a module to the end or until a signal (Ctrl-C, SIGTERM, SIGHUP).

    Args:
        module: The module of one run or of an ensemble.
        recorders: The recorders of the runs, in the module's order.
        progress: Shows the progress.
        checkpoint: The checkpoint to resume from; by default training begins at step 0.
        io: Reads and writes checkpoints; by default those of one run.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything saved.
        Diverged: If a loss or gradient is not finite, after all other runs have finished.
    """
    experiment, again, stop = recorders[0].experiment, resume_advice(recorders), StopOnSignal()
    with quiet_lightning():
        loggers = [RunLoggers(Run(recorder.run_path)) for recorder in recorders if recorder.lock is not None]
    measure = Measure(recorders, progress, loggers)
    trainer = make_trainer(experiment, [measure, stop], io)
    first_step = 0 if checkpoint is None else checkpoint_step(checkpoint)
    feed = module.feed(first_step, trainer.global_rank, trainer.world_size)
    try:
        with handling(stop.handle):
            with quiet_lightning():
                trainer.fit(module, feed, ckpt_path=checkpoint, weights_only=False)
            stop.saving = True
            if trainer.global_step < experiment.steps and not measure.reached:
                measure.check_weights(trainer, module)
                if sound := measure.sound_recorders(module):
                    save_stopped(sound, trainer)
                    raise Interrupted(f"stopped at step {trainer.global_step}; {again}", stop.signal_number or signal.SIGTERM)
            finish(module, recorders, trainer, reached=measure.reached)
    except StoppedAtOnce:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)
        raise Interrupted(f"ended at once; {again} from the last checkpoint", stop.signal_number) from None
    except RuntimeError as error:
        if lost := lost_process(trainer):
            raise LabError(f"{lost} has ended; {again} from the last checkpoint") from error
        raise
    finally:
        for each in loggers:
            each.close()
        progress.stop()
    if stop.signal_number:
        signal.raise_signal(stop.signal_number)  # too late for this run; the caller must still stop


def resume_advice(recorders: Sequence[Recorder]) -> str:
    """Return the words of a message that say how to resume the runs."""
    if len(recorders) == 1:
        return f"lab resume {recorders[0].run_path} continues it"
    return f"the same command again, for all {len(recorders)} runs, continues them"


def save_stopped(recorders: Sequence[Recorder], trainer: pl.Trainer) -> None:
    """Write a checkpoint of stopped runs and mark them stopped."""
    trainer.save_checkpoint(recorders[0].checkpoint_path(trainer.global_step), weights_only=False)
    for recorder in recorders:
        recorder.set_state("stopped")


def finish(module: TrainingModule, recorders: Sequence[Recorder], trainer: pl.Trainer, *, reached: bool = False) -> None:
    """Write the weights of the runs that have not diverged, mark them finished and remove their checkpoints.

    Args:
        module: The module of the runs.
        recorders: Their recorders.
        trainer: Their trainer.
        reached: Whether the run ends before its last step, since it has reached what `evaluation.stop` names.

    Raises:
        Diverged: If some have diverged; their checkpoints stay.
    """
    module.gather()
    if trainer.is_global_zero:
        for member, (recorder, network) in enumerate(zip(recorders, module.networks(), strict=True)):
            if member in module.diverged:
                continue
            save_weights(network, recorder.run_path / WEIGHTS)
            if reached:
                recorder.set_reached(trainer.global_step)
            else:
                recorder.set_state("finished")
            for folder in checkpoints(recorder.run_path):
                remove_checkpoint(folder)
    if module.diverged:
        raise Diverged({recorders[member].run_path: step for member, step in module.diverged.items()})


def make_trainer(experiment: Experiment, callbacks: list[pl.Callback], io: SafetensorsIO | None = None) -> pl.Trainer:
    """Build a Lightning trainer for the experiment's steps, without Lightning's logging, checkpoints and other extras."""
    keep_freed_memory()
    with quiet_lightning():
        trainer = pl.Trainer(
            accelerator=accelerator_name(experiment),
            devices=experiment.devices,
            strategy=_strategy(experiment),
            precision=_PRECISION[experiment.precision],  # type: ignore[arg-type]
            max_steps=experiment.steps,
            accumulate_grad_batches=experiment.grad_accum_steps,
            callbacks=list(callbacks),
            plugins=[io or SafetensorsIO(), OwnProcesses()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
        )
    trainer.callbacks = callbacks  # type: ignore[attr-defined]  # drop callbacks that installed packages add
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]  # `handling` does it
    return trainer


def _strategy(experiment: Experiment) -> str | ShardedStrategy:
    """Return Lightning's strategy for the experiment."""
    if experiment.strategy == "fsdp":
        return ShardedStrategy(experiment.devices)
    return "ddp" if experiment.devices > 1 else "auto"


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's messages and warnings about hardware and data loaders."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
