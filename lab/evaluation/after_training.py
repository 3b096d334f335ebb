"""Measure the weights of runs after training: at kept steps, by any measures, on sequences drawn or read from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from lab.errors import LabError
from lab.evaluation.batch import EvaluationBatch, to_evaluation_batch
from lab.evaluation.evaluator import apply_measures, draw_hidden, draw_variants, load_measure, predict
from lab.evaluation.measures import Measure
from lab.evaluation.state import evaluation_mode, has_finite_weights, zero_weights
from lab.model import Network
from lab.runs import Run
from lab.runs.isolation import isolated
from lab.runs.run import tabulate
from lab.runs.search import Runs, Step, Track, choose_steps, open_each
from lab.runs.tables import Row
from tasks.export import read_file


def evaluate(
    runs: Runs,
    data: Path | str | None = None,
    *,
    step: Step = "last",
    measures: Sequence[str] = (),
    track: Track = iter,
) -> pd.DataFrame:
    """Measure the networks of runs, on the CPU, in the precision of their training.

    At an evaluation point of a run that trained on a CPU the values are those of its `metrics.csv`, if weights are kept in
    float32.

    Args:
        runs: Runs, or folders of runs.
        data: A file with lines of text of the runs' task, or of JSON as `lab tasks export` writes them; by default the
            sequences on which the run was evaluated in training, with those of the task's variants.
        step: Which kept weights: the last, all, or those after a number of optimiser steps.
        measures: Keys of `lab.config.evaluation.MEASURES`, or `module:function` of your own; by default losses, accuracies and
            the task's own metrics. `induction` and `gradients` use sequences of their own, whatever `data` is.
        track: Iterates over the networks that are measured and may show how far it is, such as `tqdm`.

    Returns:
        The columns of `lab.frame`, a row for each (run, step, metric). `tokens` and `seconds` are NaN at a step that is no
        evaluation point of the run, as where a signal stopped it. With `data`, `data` and `lines` (the file's name, and its
        number of instances) come after `run`.

    Raises:
        LabError: If there is no such run, a run has no such weights, or a measure is unknown or gives no metric.
        TaskError: If the file cannot be read, or for the first line that is wrong: nothing is measured then.
    """
    loaded = {name: load_measure(name) for name in measures}
    opened = open_each(runs)
    steps = [choose_steps(run, step) for run in opened]
    batches = [_batches(run, data, predictions=not loaded) for run in opened]
    counts = [{row.step: (row.tokens, row.scored_tokens) for row in run.metrics()} for run in opened]
    rows: list[list[Row]] = [[] for _ in opened]
    for place, each in track([(place, each) for place, own in enumerate(steps) for each in own]):
        values = _measure(opened[place], each, batches[place], loaded)
        tokens, scored = counts[place].get(each, (math.nan, math.nan))
        rows[place] += [Row(each, tokens, scored, metric, value) for metric, value in values.items()]
    frame = tabulate(list(zip(opened, rows, strict=True)))
    if data is not None and opened:
        frame.insert(1, "data", Path(data).name)
        frame.insert(2, "lines", len(batches[0][""].tokens_BT))
    return frame


def _batches(run: Run, data: Path | str | None, *, predictions: bool) -> dict[str, EvaluationBatch]:
    """Return the sequences to measure a run on, by variant; those with the answer hidden are for predictions alone."""
    experiment = run.experiment
    if data is not None:
        return {"": to_evaluation_batch(experiment, experiment.task, read_file(data, experiment.task))}
    return draw_variants(experiment) | (draw_hidden(experiment) if predictions else {})


def _measure(run: Run, step: int, batches: Mapping[str, EvaluationBatch], measures: Mapping[str, Measure]) -> dict[str, float]:
    """Measure the weights of a run at one step; its predictions, without measures."""
    network, experiment = run.model(step), run.experiment
    batches = {variant: replace(batch, step=step) for variant, batch in batches.items()}
    with ExitStack() as stack:
        stack.enter_context(isolated(experiment))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluation_mode(network))
        if experiment.precision == "bfloat16":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        return _apply_each(measures, network, batches) if measures else predict(network, batches)


def _apply_each(measures: Mapping[str, Measure], network: Network, batches: Mapping[str, EvaluationBatch]) -> dict[str, float]:
    """Apply measures, each of which must give a metric; all are NaN if a weight is not finite."""
    if not has_finite_weights(network):
        with zero_weights(network):
            return dict.fromkeys(_apply_each(measures, network, batches), math.nan)
    values: dict[str, float] = {}
    for name, measure in measures.items():
        found = apply_measures({name: measure}, network, batches, taken=values)
        if not found:
            raise LabError(f"measure {name!r} gives no metric after training")
        values |= found
    return values
