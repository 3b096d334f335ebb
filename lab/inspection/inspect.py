"""One instrument on several runs and kept steps, as one tidy frame."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch

from lab.errors import LabError, check_type
from lab.evaluation.state import evaluation_mode
from lab.inspection.instruments import find_instrument, options_of
from lab.runs.files import report_unreadable
from lab.runs.frames import check_frame
from lab.runs.isolation import isolated
from lab.runs.run import Run, describe
from lab.runs.search import Runs, Step, Track, choose_steps, open_some
from tasks.errors import nearest

_NUMBERS = ("n_future", "seed", "step", "tokens", "sequence", "layer", "offset", "attention_head", "query", "key", "value")
"""Columns of frames that hold numbers."""


def inspect(name: str, runs: Runs, *, step: Step = "last", track: Track = iter, **options: str | float) -> pd.DataFrame:
    """Apply an instrument to the networks of runs.

    Args:
        name: Of the instrument, a key of `lab.inspection.instruments.INSTRUMENTS`.
        runs: Runs, or folders of runs.
        step: Of which kept weights: the last, all, or those after a number of optimiser steps.
        track: Iterates over the networks that are measured and may show how far it is, such as `tqdm`.
        options: Of the instrument's measure, such as `sequences=512` or `split="test"`.

    Returns:
        A row for each value: the columns that describe a run (`run`, `task`, `n_future`, `seed`, every other setting in which
        the runs differ, `parameters`, `state`), `step`, `tokens` (seen in training), the instrument's coordinates, and
        `value`. `attrs["instrument"]` is the name.

    Raises:
        LabError: For an unknown instrument, a wrong option, no runs, runs without such weights, or a task or network that does
            not fit the instrument.
    """
    instrument = find_instrument(name)
    measure = instrument.load_measure()
    given = _check_options(name, measure, options)
    opened, tokens_of = _readable(open_some(runs))
    columns = describe(opened).to_dict("records")
    parts = []
    for place, each in track([(place, each) for place, run in enumerate(opened) for each in choose_steps(run, step)]):
        run = opened[place]
        network = run.model(each)
        with isolated(run.experiment), torch.no_grad(), evaluation_mode(network):
            part = measure(network, run.experiment.task, **given)
        before = {**columns[place], "step": each, "tokens": tokens_of[place].get(each)}
        parts.append(part.assign(**before)[[*before, *instrument.coordinates, "value"]])
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["instrument"] = name
    return frame


def _check_options(name: str, measure: Callable[..., object], options: Mapping[str, object]) -> dict[str, object]:
    """Return the options of an instrument's measure as the types that its signature states."""
    hints = typing.get_type_hints(measure)
    for option in options:
        if option not in options_of(measure):
            raise LabError(f"{name} has no option {option!r}; {nearest(option, options_of(measure))}")
    return {option: check_type(option, value, hints[option]) for option, value in options.items()}


def _readable(runs: list[Run]) -> tuple[list[Run], list[dict[int, float]]]:
    """Return the runs whose table of metrics can be read, and the tokens seen by each of their steps; name the others."""
    found: list[tuple[Run, dict[int, float]]] = []
    unreadable: list[LabError] = []
    for run in runs:
        try:
            found.append((run, {row.step: row.tokens for row in run.metrics()}))
        except LabError as error:
            unreadable.append(error)
    report_unreadable(unreadable, all_failed=not found)
    return [run for run, _ in found], [tokens for _, tokens in found]


def read_frame(name: str, path: Path | str) -> pd.DataFrame:
    """Read a frame of an instrument that `lab inspect` wrote.

    Raises:
        LabError: If the file cannot be read, or is no frame of the instrument.
    """
    wanted = ["run", "task", "n_future", "seed", "step", *find_instrument(name).coordinates, "value"]
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"value": ["", "nan"], "tokens": ["", "nan"]})
    except (OSError, ValueError) as error:
        raise LabError(f"{path}: cannot be read: {error}") from error
    check_frame(frame, f"{path}: is no frame of {name}", wanted, _NUMBERS)
    return frame
