"""Checks of a sweep that need no run."""

from __future__ import annotations

from dataclasses import dataclass

from lab.config import Experiment
from lab.config.files import flat
from lab.config.names import full_name
from lab.errors import LabError
from lab.metrics import EVERY_TARGET, PER_HEAD, Metric
from lab.runs.names import headline
from lab.sweeping.spec.configurations import SEED, boundary_configurations, build_experiment, varied_names
from lab.sweeping.spec.description import Configuration, Sweep
from lab.sweeping.spec.spaces import Float
from tasks import Task
from tasks.errors import nearest

COSTS = ("parameters", "seconds")
"""Metrics of a run besides those it measures: non-embedding parameters and training time."""

_COLUMNS = (
    *("trial", "run", "state", "error", "seeds", "others"),
    *("parameters", "reached", "step", "tokens", "scored_tokens", "sequences", "flops", "seconds", "metric", "value"),
)
"""Columns of a sweep's tables besides its axes and metrics: of `runs.csv` and the summary, and of `frame.csv`."""


@dataclass(frozen=True)
class Checked:
    """A sweep whose settings are valid.

    Attributes:
        sweep: The sweep, with its metrics stated.
        possible: Configurations that can be trained (of a search: of those tried), with the experiment of the first seed.
        impossible: Configurations whose settings contradict each other, and why.
    """

    sweep: Sweep
    possible: list[tuple[Configuration, Experiment]]
    impossible: list[tuple[Configuration, str]]

    @property
    def experiments(self) -> list[Experiment]:
        """The experiments of the possible configurations with the first seed."""
        return [experiment for _, experiment in self.possible]


def check(sweep: Sweep) -> Checked:
    """Check names, values, ranges and metrics of a sweep.

    A value that no configuration can have is an error. An impossible combination of values is a gap, which the study records.

    Raises:
        LabError: For an unknown setting, a value that no configuration can have, or a metric that no run reports.
    """
    if SEED in {*sweep.base, *varied_names(sweep)}:
        raise LabError("seed cannot be set or varied: `seeds` lists the seeds of all configurations")
    _check_axes(sweep)
    possible: list[tuple[Configuration, Experiment]] = []
    impossible: list[tuple[Configuration, str]] = []
    for configuration in boundary_configurations(sweep):
        try:
            possible.append((configuration, build_experiment(sweep, configuration, sweep.seeds[0])))
        except LabError as error:
            impossible.append((configuration, str(error)))
    for name, space in sweep.axes.items():
        for label in space.bounds():
            if not any(configuration[name] == label for configuration, _ in possible):
                raise LabError(next(why for configuration, why in impossible if configuration[name] == label))
    _check_inner_values(sweep, possible[0][0])
    for _, experiment in possible:
        if experiment.devices > 1:
            raise LabError(f"devices must be 1 in a sweep, not {experiment.devices}: each worker has one device")
    metrics = dict(sweep.metrics) or {_common_headline([experiment for _, experiment in possible]): "maximise"}
    if taken := [name for name in sweep.axes if name in (*_COLUMNS, *metrics)]:
        raise LabError(f"an axis must have another name than {taken[0]!r}, a column of the sweep's tables")
    if sweep.pruner is not None and (unmeasured := [name for name in metrics if name in COSTS]):
        raise LabError(f"pruner needs a metric that runs measure at their evaluation points, not {unmeasured[0]}")
    _check_metrics(list(metrics), possible)
    return Checked(sweep.model_copy(update={"metrics": metrics}), possible, impossible)


def _check_axes(sweep: Sweep) -> None:
    """Reject two axes that set the same setting, of which one would have no effect."""
    axis_of: dict[str, str] = {}
    for axis, space in sweep.axes.items():
        for setting in {full_name(name) for label in space.bounds() for name in flat(space.settings(axis, label))}:
            if setting in axis_of:
                raise LabError(f"setting {setting} must be varied by one axis, not by {axis_of[setting]} and {axis}")
            axis_of[setting] = axis


def _check_inner_values(sweep: Sweep, configuration: Configuration) -> None:
    """Reject a range of real numbers for a setting that takes whole numbers, as both of its ends may be."""
    for axis, space in sweep.axes.items():
        if isinstance(space, Float):
            try:
                build_experiment(sweep, {**configuration, axis: space.inner}, sweep.seeds[0])
            except LabError as error:
                if "must be a whole number" in str(error):
                    raise LabError(f"search.{axis}.kind must be int, not {space.kind!r}: {error}") from error


def _common_headline(experiments: list[Experiment]) -> str:
    names = sorted({headline(experiment) for experiment in experiments})
    if len(names) > 1:
        raise LabError(f"metrics is missing: the tasks of the sweep have different headlines ({', '.join(names)})")
    return names[0]


def _check_metrics(metrics: list[str], possible: list[tuple[Configuration, Experiment]]) -> None:
    reported: dict[tuple[Task, int], set[str]] = {}
    for configuration, experiment in possible:
        kind = (experiment.task, experiment.n_future)
        if kind not in reported:
            reported[kind] = {*COSTS, *known_metrics(experiment)}
        for metric in metrics:
            if metric not in reported[kind]:
                reported[kind] |= measured_metrics(experiment)
            if metric not in reported[kind]:
                where = ", ".join(f"{name} {label}" for name, label in configuration.items())
                raise LabError(f"metric {metric!r} is not reported at {where}; {nearest(metric, reported[kind])}")


def known_metrics(experiment: Experiment) -> set[str]:
    """Return the names of the metrics that follow from an experiment's task alone, without importing torch."""
    task, names = experiment.task, set[str]()
    variants: dict[str, Task] = {"": task, **task.variants()}
    for name, variant in variants.items():
        roles, heads = (*variant.roles[1:], EVERY_TARGET), range(1, experiment.n_future + 1)
        names |= {str(Metric(kind, name, role, head)) for kind in PER_HEAD for role in roles for head in heads}
        names |= {str(Metric(kind, name)) for kind in (("exact", "first") if variant.has_answer else ("icl",))}
    return names


def measured_metrics(experiment: Experiment) -> set[str]:
    """Return the names of the metrics that a run reports, by measuring an untrained network, and those of its training."""
    from lab.evaluation.evaluator import Evaluator
    from lab.model import build

    training = {str(Metric("train/loss", head=i)) for i in range(1, experiment.n_future + 1)} | {"train/gradient_norm"}
    return training | set(Evaluator(experiment)(build(experiment)))
