"""A trained model measured on instances that stand in a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from lab.evaluation.batch import to_evaluation_batch
from lab.evaluation.predictions import measure_predictions
from lab.evaluation.state import evaluation_mode
from lab.runs import Run
from lab.runs.isolation import isolated
from tasks.export import read_file


def evaluate(run: Run | Path | str, data: Path | str) -> pd.DataFrame:
    """Every metric of a run's model on the instances in a file, on the CPU.

    Args:
        run: A run with weights.
        data: Lines of text of the run's task, or of JSON as `lab tasks export` writes them.

    Returns:
        Columns `run`, `data` (names of folder and file), `lines` (how many instances), `metric`, `value`; losses in nats.

    Raises:
        LabError: If there is no such run, or it has no weights.
        TaskError: If the file cannot be read, or for the first line that is wrong: nothing is measured then.
    """
    run = run if isinstance(run, Run) else Run(run)
    task = run.experiment.task
    batch = read_file(data, task)
    network = run.model()
    with isolated(run.experiment), torch.no_grad(), evaluation_mode(network):
        values = measure_predictions(network, to_evaluation_batch(run.experiment, task, batch))
    columns = {"run": run.name, "data": Path(data).name, "lines": len(batch)}
    return pd.DataFrame([{**columns, "metric": metric, "value": value} for metric, value in values.items()])
