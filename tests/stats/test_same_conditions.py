"""An A/A test on real runs: sixteen models that differ in the seed alone, divided into two groups many times."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lab
from lab.stats.configurations import comparison_table, run_values
from lab.stats.emergence import emergence_table
from lab.stats.survival import survival_comparisons

METRIC = "accuracy/copy/1"
SETTINGS = {
    "task": "induction", "task.vocabulary": 16, "task.length": 32, "task.period": [4, 12], "task.test_period": None,
    "model.width": 32, "optimiser.peak_lr": 1.5e-2, "steps": 400, "schedule.warmup_steps": 30, "evaluation.every": 20,
    "evaluation.examples": 64, "evaluation.measures.induction": 0,
}  # fmt: skip
DIVISIONS = 200


@pytest.mark.slow
def test_models_that_differ_in_seed_alone_rarely_differ(tmp_path: Path) -> None:
    done = lab.sweep({"name": "same", "base": SETTINGS, "grid": {"n_future": [1]}, "seeds": 16}, tmp_path, workers=2)
    tidy = lab.frame(done.complete())
    times = emergence_table(tidy, METRIC, thresholds={"passed": 0.5})
    early = run_values(tidy[tidy["tokens"] <= times["passed"].median()], METRIC)
    assert times["passed"].nunique() > 4, "the runs must differ for the check to mean anything"
    rng = np.random.default_rng(0)
    called = {"accuracy": 0, "time": 0, "log-rank": 0}
    for _ in range(DIVISIONS):
        order = rng.permutation(16)
        divided = pd.DataFrame({"seed": range(16), "group": order // 8, "pair": order % 8})
        accuracies, moments = (
            table.merge(divided, on="seed").drop(columns="seed").rename(columns={"pair": "seed"}) for table in (early, times)
        )
        compared = survival_comparisons(moments, "passed", column="group")
        called["accuracy"] += int(comparison_table(accuracies, column="group", baseline=0)["p_value"].iloc[0] <= 0.1)
        called["time"] += int(compared["p_paired"].iloc[0] <= 0.1)
        called["log-rank"] += int(compared["p_log_rank"].iloc[0] <= 0.1)
    assert all(stats.binomtest(count, DIVISIONS, 0.1, alternative="greater").pvalue > 0.01 for count in called.values()), called
