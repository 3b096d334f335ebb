"""Metrics that a task defines itself, measured on stub networks with known values."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import lab
from lab.evaluation.evaluator import EVALUATION_SEED, Evaluator
from lab.evaluation.task_metrics import measure_task
from lab.model import Network, build
from lab.runs.names import headline, reference_lines
from lab.training import fit
from tests.helpers.tables import NEVER, table_network
from tests.helpers.tiny import tiny
from tests.helpers.users_walk import Walk

WALK = "tests.helpers.users_walk:Walk"


def network_that_steps_up(ring: int, share: float) -> Network:
    """Build a network that takes a step up with probability `share`, and down otherwise."""
    table = np.full((ring, ring), NEVER)
    nodes = np.arange(ring)
    table[nodes, (nodes + 1) % ring] = np.log(share)
    table[nodes, (nodes - 1) % ring] = np.log(1 - share) if share < 1 else NEVER
    return table_network(table.tolist())


def test_sampled_sequences_are_judged_by_the_task() -> None:
    walk = Walk()
    tokens = torch.from_numpy(walk.batch(0, 0, 400, "test").tokens)
    assert measure_task(network_that_steps_up(walk.ring, 1.0), walk, tokens, 0)["sampled/legal"] == 1.0
    half = measure_task(network_that_steps_up(walk.ring, 0.5), walk, tokens, 0)["sampled/legal"]
    assert half == pytest.approx(2**-9, abs=4 * np.sqrt(2**-9 / 400)), (
        "each of nine steps repeats the one before with probability 1/2"
    )


def test_forced_choices_change_the_completion() -> None:
    walk = Walk(strides=1)
    tokens = torch.from_numpy(walk.batch(0, 0, 4000, "test").tokens)
    values = measure_task(network_that_steps_up(walk.ring, 0.8), walk, tokens, 0)
    error = 4 * 0.5 / np.sqrt(4000)
    assert values["sampled/legal"] == pytest.approx(0.8**4 + 0.2**4, abs=error)
    assert values["forced/legal"] == pytest.approx(0.8**3, abs=error), "the first of four steps is certainly up"


def test_compare_gets_log_probabilities_of_head_1() -> None:
    walk = Walk()
    tokens = torch.from_numpy(walk.batch(0, 0, 300, "test").tokens)
    network = build(tiny(WALK)).eval()
    values = measure_task(network, walk, tokens, 0)
    expected = -network.logits(tokens).detach().log_softmax(-1).min()
    assert values["surprise/largest"] == pytest.approx(float(expected), rel=1e-5)


def test_log_probabilities_are_computed_only_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny().task

    def fail(self: object, *_: object) -> Tensor:
        raise AssertionError("logits were computed")

    network = build(tiny())
    monkeypatch.setattr(type(network), "logits", fail)
    assert measure_task(network, task, torch.from_numpy(task.batch(0, 0, 2).tokens), 0) == {}


def test_an_evaluation_of_task_metrics_is_repeatable() -> None:
    experiment = tiny(WALK)
    network = build(experiment)
    values = Evaluator(experiment)(network)
    assert {"sampled/legal", "forced/legal", "surprise/largest", "loss/step/1", "icl"} <= set(values)
    assert Evaluator(experiment)(network) == values
    tokens = torch.from_numpy(experiment.task.batch(EVALUATION_SEED, 0, 8, "validation").tokens)
    alone = measure_task(network.eval(), experiment.task, tokens, EVALUATION_SEED)
    assert alone.items() <= values.items()


def test_a_run_keeps_the_tasks_files_and_resumes_exactly(tmp_path: Path) -> None:
    experiment = tiny(WALK, steps=6)
    run = lab.train(experiment, tmp_path / "whole")
    assert (run.path / "places.json").read_text() == experiment.task.artifacts()["places.json"]
    assert headline(experiment) == "sampled/legal"
    steps = [row.step for row in run.metrics() if row.metric == "sampled/legal"]
    assert steps == [0, 3, 6]

    class Stop(fit.Progress):
        def measured(self, step: int, values: dict[str, float]) -> None:
            if step == 3:
                raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        lab.train(experiment, tmp_path / "killed", progress=Stop(experiment))
    lab.resume(tmp_path / "killed")
    assert (tmp_path / "killed/metrics.csv").read_bytes() == (run.path / "metrics.csv").read_bytes()


@pytest.mark.parametrize("name", ["run.json", "../away", "checkpoint-1", "weights-1", ".hidden"])
def test_a_task_file_named_as_a_runs_file_is_rejected(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walk, "artifacts", lambda self: {name: "text"})
    with pytest.raises(lab.LabError, match="plain file name"):
        lab.train(tiny(WALK), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_tasks_own_metrics_have_no_reference_lines() -> None:
    assert reference_lines(tiny(WALK), "sampled/legal") == {}
