"""What a sweep has come to: a row for each run, a tidy frame, and a summary that names what is missing."""

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
from lab.sweeping.cells import SEED, grid_trial, planned_trials, run_name, trial_names
from lab.sweeping.study import ERROR, Job, grid_place
from lab.sweeping.trials import best_of, run_value

if TYPE_CHECKING:
    import pandas as pd

_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        job: The sweep and where it lies.
        runs: A row for each run: `trial`, `run`, the axes, `seed`, `state` (`finished`, `pruned`, `failed`, `running`,
            `stopped`, `killed`, `waiting`, or `missing` if the folder of a finished run is gone), each metric (of finished
            runs), `error`.
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
        values where they are few), `seeds`: how many those are, and `others`: how many are in another state.
        """
        import pandas as pd

        from lab.analysis.statistics import mean_with_interval

        rows: list[dict[str, Any]] = []
        for _, part in self.runs.groupby(self._cell, sort=False, dropna=False):
            ended = part[part["state"] == "finished"]
            shown: dict[str, Any] = {name: part[name].iloc[0] for name in dict.fromkeys([*self._cell, *self.job.sweep.axes])}
            for metric in self.job.sweep.metrics:
                values = ended[metric].astype(float).tolist()
                shown[metric] = mean_with_interval(values) if values else "-"
            states = part["state"].value_counts()
            others = ", ".join(f"{count} {state}" for state, count in states.items() if state != "finished")
            rows.append({**shown, "seeds": len(ended), "others": others})
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

    def write(self) -> None:
        """Write `runs.csv` and `frame.csv` beside the sweep."""
        write_atomic(self.job.place.runs_table, self.runs.to_csv(index=False))
        write_atomic(self.job.place.frame_table, self.frame().to_csv(index=False))


def results(job: Job, study: Study) -> Results:
    """Collect what a study and the folders of its runs say."""
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
        row = {"trial": None if trial is None else trial.number, "run": name, **labels, **_state(job, trial, name)}
        if row["state"] == "finished" and trial is not None:
            row |= dict(zip(sweep.metrics, trial.values, strict=True))
        yield row


def _state(job: Job, trial: FrozenTrial | None, name: str) -> dict[str, Any]:
    if trial is None:
        return {"state": "waiting", "error": ""}
    state = _STATES.get(trial.state, "running")
    path = job.place.runs / name
    if state == "running" and not job.place.leases.is_taken(trial.number):  # the same command goes on with it
        state = Run(path).state if is_run(path) else "waiting"
        return {"state": "stopped" if state == "finished" else state, "error": ""}
    if state == "finished" and not is_run(path):
        return {"state": "missing", "error": "its folder is gone"}
    return {"state": state, "error": trial.user_attrs.get(ERROR, "")}


def _search_rows(job: Job, study: Study) -> Iterator[dict[str, Any]]:
    """A row for each run of each trial."""
    for trial in study.get_trials(deepcopy=False):
        for seed, name in zip(job.sweep.seeds, trial_names(job.sweep, trial.number, trial.params), strict=True):
            row = {"trial": trial.number, "run": name, **trial.params, SEED: seed, **_state(job, trial, name)}
            if row["state"] == "finished":
                run = Run(job.place.runs / name)
                row |= {
                    metric: run_value(run, metric, job.sweep.rule, best_of(way)) for metric, way in job.sweep.metrics.items()
                }
            yield row
