"""The results of a sweep: a table of its runs, a tidy frame, and a summary that names missing runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lab.errors import LabError
from lab.runs import Run, open_runs
from lab.runs.files import readable_errors, write_atomic
from lab.runs.layout import is_run
from lab.runs.record import has_first_settings, read_record
from lab.sweeping.spec.configurations import SEED, grid_trial, planned_trials, run_name, run_names
from lab.sweeping.study.place import Job
from lab.sweeping.study.study import ERROR, grid_index, open_study
from lab.sweeping.workers.trials import run_value

if TYPE_CHECKING:
    import pandas as pd

_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
FAILURES = ("failed", "diverged", "damaged", "missing")
"""States of runs that have ended without a result."""


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        job: The sweep with its folders and storage.
        runs: A row for each run: `trial`, `run`, the axes, `seed`, `state`, each metric (of finished runs), `error`. States:
            `finished`, `pruned`, `failed`, `diverged`; `running` (a process works on it), `stopped` or `killed` (it has begun
            and no process works on it), `waiting` (it has not begun); `damaged` or `missing` (the folder of a finished run
            cannot be read, or is gone).
    """

    job: Job
    runs: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """Return the tidy frame of all run folders (see `lab.frame`), with `trial`, `state` and the axes of the sweep."""
        from lab.runs import frame

        table = self.runs[self.runs["run"].map(lambda name: is_run(self.job.place.runs / name)).astype(bool)]
        tidy = frame(open_runs([self.job.place.runs / name for name in table["run"]]))
        if tidy.empty:
            return tidy
        more = [name for name in ("trial", "state", *self.job.sweep.axes) if name not in tidy.columns]
        return tidy.merge(table[["run", *more]], on="run", how="left", validate="many_to_one")

    def finished(self) -> list[Run]:
        """Return the finished runs."""
        return [Run(self.job.place.runs / name) for name in self.runs.loc[self.runs["state"] == "finished", "run"]]

    def complete(self, *, diverged: bool = False) -> list[Run]:
        """Return all runs.

        Args:
            diverged: Whether a run may have diverged; otherwise all must be finished.

        Raises:
            LabError: Naming the first run that has not ended so.
        """
        ended = ["finished", "diverged"] if diverged else ["finished"]
        for line in self.missing(ended):
            raise LabError(line)
        return [Run(self.job.place.runs / name) for name in self.runs["run"]]

    def configurations(self) -> pd.DataFrame:
        """Return a row for each configuration.

        Columns are its axes, the mean of each metric over its finished runs with a 90 % interval (the values where they are
        few), `seeds`: the number of those runs, as `2 of 3`, and `others`: the number of runs in each other state.
        """
        import pandas as pd

        from lab.stats.bootstrap import mean_with_interval

        rows: list[dict[str, Any]] = []
        for _, group in self.runs.groupby(self._keys, sort=False, dropna=False):
            ended = group[group["state"] == "finished"]
            names = dict.fromkeys([*self._keys, *self.job.sweep.axes])
            shown: dict[str, Any] = {name: group[name].iloc[0] for name in names}
            for metric in self.job.sweep.metrics:
                values = ended[metric].astype(float).tolist()
                shown[metric] = mean_with_interval(values) if values else "-"
            states = group["state"].value_counts()
            others = ", ".join(f"{count} {state}" for state, count in states.items() if state != "finished")
            rows.append({**shown, "seeds": f"{len(ended)} of {len(group)}", "others": others})
        return pd.DataFrame(rows)

    @property
    def _keys(self) -> list[str]:
        """The columns that identify a configuration."""
        return list(self.job.sweep.axes) if self.job.sweep.grid is not None else ["trial"]

    def sentence(self) -> str:
        """Return the number of runs and configurations, and of runs in each state."""
        counts = self.runs["state"].value_counts(sort=False).sort_index()
        number = len(self.runs.drop_duplicates(self._keys))
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"{len(self.runs)} runs of {number} configurations: {states or 'none yet'}"

    def missing(self, ended: Collection[str] = ("finished",)) -> list[str]:
        """Return a line for each run that is in none of these states, with the reason."""
        rows = self.runs[~self.runs["state"].isin(ended)]
        return [f"{row['run']}: {row['state']}{': ' + row['error'] if row['error'] else ''}" for row in rows.to_dict("records")]

    def failure(self) -> str:
        """Return the number of failed runs in one line; empty if there are none."""
        counts = self.runs["state"].value_counts()
        failed = [f"{counts[state]} of {len(self.runs)} runs {state}" for state in FAILURES if state in counts]
        return ", ".join(failed)

    def write(self) -> None:
        """Write `runs.csv` and `frame.csv` beside the sweep."""
        write_atomic(self.job.place.runs_table, self.runs.to_csv(index=False))
        write_atomic(self.job.place.frame_table, self.frame().to_csv(index=False))


def collect(job: Job, study: Study | None = None) -> Results:
    """Collect results from a study, its leases and the folders of its runs, without writing anything.

    Args:
        job: The sweep with its folders and storage.
        study: Its study; opened if it is not given.

    Raises:
        LabError: If the study does not exist.
    """
    import pandas as pd

    study = study or open_study(job)
    rows = list(_grid_rows(job, study) if job.sweep.grid is not None else _search_rows(job, study))
    columns = ["trial", "run", *job.sweep.axes, SEED, "state", *job.sweep.metrics, "error"]
    return Results(job, pd.DataFrame(rows, columns=columns).astype({"trial": "Int64"}))


def _grid_rows(job: Job, study: Study) -> Iterator[dict[str, Any]]:
    """Yield a row for each of the grid's runs, with the last of its trials."""
    sweep = job.sweep
    latest = {grid_index(study, sweep, trial.number): trial for trial in study.get_trials(deepcopy=False)}
    for index in range(planned_trials(sweep) or 0):
        run, trial = grid_trial(sweep, index), latest.get(index)
        name = run_name(sweep, run, run[SEED])
        yield {"trial": None if trial is None else trial.number, "run": name, **run, **_outcome(job, trial, name)}


def _search_rows(job: Job, study: Study) -> Iterator[dict[str, Any]]:
    """Yield a row for each run of each trial."""
    for trial in study.get_trials(deepcopy=False):
        for seed, name in zip(job.sweep.seeds, run_names(job.sweep, trial.number, trial.params), strict=True):
            yield {"trial": trial.number, "run": name, **trial.params, SEED: seed, **_outcome(job, trial, name)}


def _outcome(job: Job, trial: FrozenTrial | None, name: str) -> dict[str, Any]:
    """Return state, error and, of a finished run, each metric."""
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
    """Return the state of a trial's run: the study's if it is finished, else that of its folder and the lease."""
    if trial is None:
        return "waiting"
    path, ended = job.place.runs / name, _STATES.get(trial.state)
    if not is_run(path):
        held = ended is None and job.place.leases.is_taken(trial.number)
        return "running" if held else "missing" if ended == "finished" else ended or "waiting"
    if ended == "finished":
        return ended
    own = Run(path).state
    if ended is not None:
        return own if own in ("finished", "diverged") else ended  # of a search's trial one run may be whole
    return "running" if own != "finished" and job.place.leases.is_taken(trial.number) else own


def _values(job: Job, trial: FrozenTrial | None, name: str) -> dict[str, float]:
    """Return a finished run's value of each metric."""
    path = job.place.runs / name
    if job.sweep.grid is not None and trial is not None and trial.values is not None:
        with readable_errors(path):
            if not has_first_settings(path, read_record(path)):
                Run(path)  # rejects a damaged one; much slower than the digest
        return dict(zip(job.sweep.metrics, trial.values, strict=True))
    run = Run(path)
    return {metric: run_value(job.sweep, run, metric) for metric in job.sweep.metrics}
