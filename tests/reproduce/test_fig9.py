"""Fig 9: one sweep, whose runs all families of the page evaluate."""

from pathlib import Path

import pandas as pd

from lab.reproduce import FRAME
from lab.reproduce.fig9 import COMPARISON, STUDY
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run


def test_all_families_evaluate_the_same_runs(tmp_path: Path) -> None:
    (stage,) = STUDY.stages("laptop")
    values = {family.metric: number / 10 for number, family in enumerate(COMPARISON.families.values())}
    curve = {0: values, 10: values}
    runs = [make_run(tmp_path / "runs" / name, each, curve) for name, each in grid_experiments(stage.largest).items()]
    files = STUDY.report("laptop", [runs], tmp_path)
    frame = pd.read_csv(tmp_path / FRAME)
    ends = frame[frame["step"] == 10].groupby("family", sort=False)["value"]
    assert ends.mean().round(3).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert ends.count().tolist() == [len(runs)] * len(COMPARISON.families)
    assert f"\n{len(runs)} runs, " in files[-1].read_text()
