"""Measurements of runs after training: on a file, at kept steps, and by measures that were added later."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab
from lab.config import Experiment
from lab.errors import LabError
from tasks import TaskError
from tasks.export import export_lines
from tests.helpers.killing import kill_in_step, train_killed
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

ALL: dict[str, Any] = {
    "steps": 6,
    "checkpoint__keep": "every",
    "evaluation__measures__gradients": 1,
    "evaluation__measures__induction": 1,
}
"""Settings of a run that keeps its weights of the steps 0, 3 and 6, and measures all that can be measured again."""
MEASURE = "tests.helpers.users_measure:effective_rank"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    star = {"task__degree": 2, "task__arm": 3, "task__nodes": 10}
    return make_run(tmp_path_factory.mktemp("runs") / "star", tiny("star", **star), {12: {"loss/all/1": 1.0}}, weights=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    return lab.train(tiny(**ALL), tmp_path_factory.mktemp("kept") / "run")


def test_metrics_on_a_file_agree_with_a_loop_over_its_lines(run: lab.Run, tmp_path: Path) -> None:
    task = run.experiment.task
    (tmp_path / "x.jsonl").write_text("\n".join(export_lines(task, size=12)))
    frame = lab.evaluate(run, tmp_path / "x.jsonl")
    assert list(frame.columns[:3]) == ["run", "data", "lines"]
    assert list(frame.columns.drop(["data", "lines"])) == list(run.frame().columns)
    assert set(frame["lines"]) == {12}
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    tokens = np.concatenate([task.batch(0, index, 1, "test").tokens for index in range(12)])
    log_p = run.model().logits(torch.from_numpy(tokens)).detach().log_softmax(-1).numpy()
    turn = tokens.shape[1] - 2
    assert values["loss/turn/1"] == pytest.approx(-np.mean([log_p[row, turn - 1, tokens[row, turn]] for row in range(12)]))
    hits = log_p.argmax(-1)[:, turn - 1 : -1] == tokens[:, turn:]
    assert values["exact"] == hits.all(axis=1).mean()
    assert "loss/turn/2" in values


def test_no_runs_give_an_empty_frame(tmp_path: Path) -> None:
    assert lab.evaluate([], tmp_path / "x.jsonl").empty


def test_nothing_is_measured_if_any_line_is_wrong(run: lab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").write_text("2,8|5,2|5,9|9,3/5,8=5,2,8\n2,8|5,2|5,9|9,3/5,8=5,9,3\n")
    monkeypatch.setattr(lab.Run, "model", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(TaskError, match="line 2"):
        lab.evaluate(run.path, tmp_path / "x.txt")


def read_metrics(run: lab.Run, named: tuple[str, ...] = ("",), but: tuple[str, ...] = ()) -> dict[tuple[int, str], float]:
    """Return the metrics of a run's table whose names, without a variant, begin with a prefix in `named` but none in `but`."""
    rows = [(row, row.metric.rpartition(":")[2]) for row in run.metrics()]
    return {(row.step, row.metric): row.value for row, name in rows if name.startswith(named) and not name.startswith(but)}


def evaluate_again(run: lab.Run, **how: Any) -> dict[tuple[int, str], float]:
    frame = lab.evaluate(run, **how)
    return dict(zip(zip(frame["step"], frame["metric"], strict=True), frame["value"], strict=True))


OTHERS = ("prefix_matching", "copying", "gradient", "train/")


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(tiny(**ALL), id="variants"),
        pytest.param(tiny(**ALL, precision="bfloat16"), id="bfloat16"),
        pytest.param(tiny("markov", **ALL), id="sampled"),
        pytest.param(tiny("star", **ALL, objective__teacherless=True), id="teacherless"),
        pytest.param(tiny(**ALL, objective__active=[[0, 1], [5, 2]], objective__weights=[1, 0.5]), id="curriculum"),
    ],
)
def test_every_kept_step_gives_the_values_of_training(experiment: Experiment, tmp_path: Path) -> None:
    run = lab.train(experiment, tmp_path / "run")
    assert evaluate_again(run, step="all") == read_metrics(run, but=OTHERS)
    expected = read_metrics(run, ("prefix_matching", "copying", "gradient"))
    assert evaluate_again(run, step="all", measures=("gradients", "induction")) == expected
    assert evaluate_again(run, step=3, measures=["gradients"]) == {
        (step, name): value for (step, name), value in expected.items() if step == 3 and name.startswith("gradient")
    }
    assert {step for step, _ in evaluate_again(run)} == {6}


def test_a_later_measure_gives_the_frame_of_a_run(tmp_path: Path) -> None:
    runs = [lab.train(tiny(**ALL, n_future=n), tmp_path / f"n{n}") for n in (1, 2)]
    frame, usual = lab.evaluate(tmp_path, step="all", measures=[MEASURE]), lab.frame(runs)
    assert list(frame.columns) == list(usual.columns)
    keys = ["run", "task", "n_future", "seed", "parameters", "state", "step", "tokens", "scored_tokens", "seconds", "flops"]
    assert frame[keys].drop_duplicates().to_numpy().tolist() == usual[keys].drop_duplicates().to_numpy().tolist()
    (row,) = frame[(frame["n_future"] == 2) & (frame["step"] == 3) & (frame["metric"] == "effective_rank/induction")]["value"]
    shares = torch.linalg.svdvals(runs[1].model(3).embedding.weight.detach())
    shares = shares / shares.sum()
    assert row == pytest.approx(float(torch.exp(-(shares * shares.log()).sum())), rel=1e-6)


def test_a_users_measure_gives_its_values_of_training(tmp_path: Path) -> None:
    run = lab.train(tiny(**ALL, evaluation__measures={MEASURE: 2}), tmp_path / "run")
    expected = read_metrics(run, ("effective_rank",))
    assert {step for step, _ in expected} == {0, 6}
    found = evaluate_again(run, step="all", measures=[MEASURE])
    assert {key: found[key] for key in expected} == expected


def test_a_stopped_run_is_measured_at_its_checkpoint(tmp_path: Path) -> None:
    train_killed(tiny(), tmp_path / "run", kill_in_step)
    run = lab.Run(tmp_path / "run")
    assert evaluate_again(run) == {key: value for key, value in read_metrics(run, but=OTHERS).items() if key[0] == 6}


def test_a_file_is_measured_at_every_kept_step(kept: lab.Run, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n".join(export_lines(kept.experiment.task, size=5)))
    frame = lab.evaluate(kept, tmp_path / "x.jsonl", step="all")
    assert set(frame["lines"]) == {5}
    assert set(frame["step"]) == {0, 3, 6}
    last = lab.evaluate(kept, tmp_path / "x.jsonl")["value"].tolist()
    assert frame[frame["step"] == 6]["value"].tolist() == last
    assert frame[frame["step"] == 0]["value"].tolist() != last


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"step": 5}, r"run: has no weights of step 5; step must be last, all, or 0, 3, 6$"),
        ({"step": "lst"}, r"run: has no weights of step 'lst'; step must be last, all, or 0"),
        ({"measures": ["gradient"]}, r"unknown measure 'gradient'; did you mean 'gradients'"),
        ({"measures": ["no.such:measure"]}, r"'no.such:measure' cannot be imported"),
        ({"measures": ["training"]}, r"measure 'training' gives no metric after training"),
        ({"measures": [MEASURE, MEASURE.replace("effective_rank", "not_a_function")]}, r"is not a function"),
    ],
)
def test_impossible_measurements_are_named(how: dict[str, Any], message: str, kept: lab.Run) -> None:
    with pytest.raises(LabError, match=message):
        lab.evaluate(kept, **how)


def test_a_run_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="run: has no weights yet"):
        lab.evaluate(make_run(tmp_path / "run", tiny()))
