from pathlib import Path

import numpy as np
import pytest
import torch

import lab
from tasks import TaskError
from tasks.export import export_lines

SETTINGS = {
    "task.degree": 2,
    "task.arm": 3,
    "task.nodes": 10,
    "model.width": 8,
    "model.layers": 3,
    "model.n_heads": 2,
    "steps": 4,
    "batch_size": 4,
    "schedule.warmup_steps": 1,
    "evaluation.examples": 4,
    "accelerator": "cpu",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    return lab.train(lab.experiment("star", SETTINGS, n_future=2), tmp_path_factory.mktemp("runs") / "star")


def test_metrics_on_a_file_are_those_of_a_loop_over_its_lines(run: lab.Run, tmp_path: Path) -> None:
    task = run.experiment.task
    (tmp_path / "x.jsonl").write_text("\n".join(export_lines(task, size=12)))
    frame = lab.evaluate(run, tmp_path / "x.jsonl")
    assert list(frame.columns) == ["run", "data", "lines", "metric", "value"]
    assert set(frame["lines"]) == {12}
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    tokens = np.concatenate([task.batch(0, index, 1, "test").tokens for index in range(12)])
    log_p = run.model().logits(torch.from_numpy(tokens)).detach().log_softmax(-1).numpy()
    turn = tokens.shape[1] - 2
    assert values["loss/turn/1"] == pytest.approx(-np.mean([log_p[row, turn - 1, tokens[row, turn]] for row in range(12)]))
    hits = log_p.argmax(-1)[:, turn - 1 : -1] == tokens[:, turn:]
    assert values["exact"] == hits.all(axis=1).mean()
    assert "loss/turn/2" in values


def test_nothing_is_measured_if_any_line_is_wrong(run: lab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").write_text("2,8|5,2|5,9|9,3/5,8=5,2,8\n2,8|5,2|5,9|9,3/5,8=5,9,3\n")
    monkeypatch.setattr(lab.Run, "model", lambda self: pytest.fail("a model was loaded"))
    with pytest.raises(TaskError, match="line 2"):
        lab.evaluate(run.path, tmp_path / "x.txt")
