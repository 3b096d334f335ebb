"""The results of a sweep: a row for each run, a tidy frame, and a summary that names what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lab.errors import LabError
from lab.runs import Run, open_runs
from lab.runs.files import write_atomic
from lab.runs.run import is_run
from lab.sweeping.spec.configurations import SEED, grid_trial, planned_trials, run_name, trial_names
from lab.sweeping.study.study import ERROR, Job, grid_place
from lab.sweeping.workers.trials import best_of, run_value

if TYPE_CHECKING:
    import pandas as pd

_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
FAILURES = ("failed", "diverged", "damaged", "missing")
"""States of runs that are over and have no result."""


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        job: The sweep and where it lies.
        runs: A row for each run: `trial`, `run`, the axes, `seed`, `state`, each metric (of finished runs), `error`. States:
            `finished`, `pruned`, `failed`, `diverged`; `running` (a process works on it), `stopped` or `killed` (it has begun
            and nobody works on it), `waiting` (it has not begun); `damaged` or `missing` (the folder of a finished run cannot
            be read, or is gone).
    """

    job: Job
    runs: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """The tidy frame of all run folders (see `lab.frame`), with `trial`, `state` and the axes of the sweep."""
        from lab.runs.frames import frame

        table = self.runs[self.runs["run"].map(lambda name: is_run(self.job.place.runs / name))]
        tidy = frame(open_runs([self.job.place.runs / name for name in table["run"]]))
        if tidy.empty:
            return tidy
        more = [name for name in ("trial", "state", *self.job.sweep.axes) if name not in tidy.columns]
        return tidy.merge(table[["run", *more]], on="run", how="left", validate="many_to_one")

    def finished(self) -> list[Run]:
        """The runs that came to their end."""
        return [Run(self.job.place.runs / name) for name in self.runs.loc[self.runs["state"] == "finished", "run"]]

    def complete(self) -> list[Run]:
        """All runs.

        Raises:
            LabError: Naming the first that did not come to its end.
        """
        for line in self.missing():
            raise LabError(line)
        return self.finished()

    def cells(self) -> pd.DataFrame:
        """A row for each cell: its axes, the mean of each metric over its finished runs with its 90 % interval (their
        values where they are few), `seeds`: how many of its runs those are, as `2 of 3`, and `others`: how many are in each
        other state.
        """
        import pandas as pd

        from lab.stats.statistics import mean_with_interval

        rows: list[dict[str, Any]] = []
        for _, part in self.runs.groupby(self._cell, sort=False, dropna=False):
            ended = part[part["state"] == "finished"]
            shown: dict[str, Any] = {name: part[name].iloc[0] for name in dict.fromkeys([*self._cell, *self.job.sweep.axes])}
            for metric in self.job.sweep.metrics:
                values = ended[metric].astype(float).tolist()
                shown[metric] = mean_with_interval(values) if values else "-"
            states = part["state"].value_counts()
            others = ", ".join(f"{count} {state}" for state, count in states.items() if state != "finished")
            rows.append({**shown, "seeds": f"{len(ended)} of {len(part)}", "others": others})
        return pd.DataFrame(rows)

    @property
    def _cell(self) -> list[str]:
        """The columns that make a cell."""
        return list(self.job.sweep.axes) if self.job.sweep.grid is not None else ["trial"]

    def sentence(self) -> str:
        """Counts of runs by state, and of cells."""
        counts = self.runs["state"].value_counts(sort=False).sort_index()
        cells = self.runs.drop_duplicates(self._cell)
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"{len(self.runs)} runs of {len(cells)} cells: {states or 'none yet'}"

    def missing(self) -> list[str]:
        """A line for each run that did not come to its end, and why."""
        rows = self.runs[self.runs["state"] != "finished"]
        return [f"{row['run']}: {row['state']}{': ' + row['error'] if row['error'] else ''}" for row in rows.to_dict("records")]

    def failure(self) -> str:
        """How many runs failed, in one line; empty if none did."""
        counts = self.runs["state"].value_counts()
        failed = [f"{counts[state]} of {len(self.runs)} runs {state}" for state in FAILURES if state in counts]
        return ", ".join(failed)

    def write(self) -> None:
        """Write `runs.csv` and `frame.csv` beside the sweep."""
        write_atomic(self.job.place.runs_table, self.runs.to_csv(index=False))
        write_atomic(self.job.place.frame_table, self.frame().to_csv(index=False))


def results(job: Job, study: Study) -> Results:
    """Collect what a study, its leases and the folders of its runs say; nothing is written."""
    import pandas as pd

    rows = list(_grid_rows(job, study) if job.sweep.grid is not None else _search_rows(job, study))
    columns = ["trial", "run", *job.sweep.axes, SEED, "state", *job.sweep.metrics, "error"]
    return Results(job, pd.DataFrame(rows, columns=columns).astype({"trial": "Int64"}))


def _grid_rows(job: Job, study: Study) -> Iterator[dict[str, Any]]:
    """A row for each of the grid's runs, begun or not; of one that was tried again, the last trial."""
    sweep = job.sweep
    latest = {grid_place(study, sweep, trial.number): trial for trial in study.get_trials(deepcopy=False)}
    for place in range(planned_trials(sweep) or 0):
        labels, trial = grid_trial(sweep, place), latest.get(place)
        name = run_name(sweep, labels, labels[SEED])
        yield {"trial": None if trial is None else trial.number, "run": name, **labels, **_outcome(job, trial, name)}


def _search_rows(job: Job, study: Study) -> Iterator[dict[str, Any]]:
    """A row for each run of each trial."""
    for trial in study.get_trials(deepcopy=False):
        for seed, name in zip(job.sweep.seeds, trial_names(job.sweep, trial.number, trial.params), strict=True):
            yield {"trial": trial.number, "run": name, **trial.params, SEED: seed, **_outcome(job, trial, name)}


def _outcome(job: Job, trial: FrozenTrial | None, name: str) -> dict[str, Any]:
    """State, error and, of a finished run, each metric."""
    try:
        state = _state(job, trial, name)
        values = _values(job, trial, name) if state == "finished" else {}
    except LabError as error:
        return {"state": "damaged", "error": str(error)}
    if state == "missing":
        return {"state": state, "error": "its folder is gone"}
    over = trial is not None and state in FAILURES
    return {"state": state, "error": trial.user_attrs.get(ERROR, "") if over and trial is not None else "", **values}


def _state(job: Job, trial: FrozenTrial | None, name: str) -> str:
    """The state of a trial's run: what the study says of one that is finished, else what its folder and the lease say."""
    if trial is None:
        return "waiting"
    path, told = job.place.runs / name, _STATES.get(trial.state)
    if not is_run(path):
        held = told is None and job.place.leases.is_taken(trial.number)
        return "running" if held else "missing" if told == "finished" else told or "waiting"
    if told == "finished":
        return told
    own = Run(path).state
    if told is not None:
        return own if own in ("finished", "diverged") else told  # of a search's trial one run may be whole
    return "running" if own != "finished" and job.place.leases.is_taken(trial.number) else own


def _values(job: Job, trial: FrozenTrial | None, name: str) -> dict[str, float]:
    """What a finished run reached in each metric."""
    if job.sweep.grid is not None and trial is not None and trial.values is not None:
        return dict(zip(job.sweep.metrics, trial.values, strict=True))
    run = Run(job.place.runs / name)
    return {metric: run_value(run, metric, job.sweep.rule, best_of(way)) for metric, way in job.sweep.metrics.items()}
