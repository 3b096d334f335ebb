"""Tasks of users: README's example, and tasks that installed packages register by an entry point."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import lab
import tasks
from tasks import TaskError
from tests.helpers.every_task import EVERY, readme_example
from tests.helpers.users_task import Parity

README_TASK = EVERY[-1]


def test_readmes_task_is_short_and_learns(tmp_path: Path) -> None:
    assert len(readme_example().strip().splitlines()) <= 40
    settings = {"task.symbols": 4, "task.shown": 3, "model.width": 32, "model.layers": 3, "evaluation.every": None}
    run = lab.train(lab.experiment(README_TASK, settings, steps=60, n_future=2, accelerator="cpu"), tmp_path / "run")
    first, last = ({row.metric: row.value for row in run.metrics() if row.step == step} for step in (0, 60))
    assert last["loss/answer/1"] < 0.8 * first["loss/answer/1"]
    assert {"exact", "loss/symbol/2"} <= set(last)
    assert lab.Run(tmp_path / "run").experiment.task == tasks.get(README_TASK, symbols=4, shown=3)


@dataclass(frozen=True, kw_only=True)
class Named(Parity):
    name = "named"
    label: int | str | None = None
    many: int = 2

    @property
    def roles(self) -> tuple[str, ...]:
        return (tasks.PADDING, "bit", "parity", *(f"role_{number}" for number in range(self.many)))


def test_a_setting_may_have_one_of_several_types() -> None:
    assert [Named(label=label).label for label in (3, "three", None)] == [3, "three", None]
    with pytest.raises(TaskError, match=r"named\.label must be a text, not 2\.5"):
        Named(label=2.5)


def test_more_roles_than_a_batch_can_number_are_rejected() -> None:
    assert len(Named(many=125).roles) == 128
    with pytest.raises(TaskError, match="named: the number of roles must be at most 128, not 129"):
        Named(many=126)


def test_an_installed_task_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "backwards.py").write_text(readme_example())
    (tmp_path / "backwards-1.0.dist-info").mkdir()
    (tmp_path / "backwards-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: backwards\nVersion: 1.0\n")
    (tmp_path / "backwards-1.0.dist-info/entry_points.txt").write_text("[mtp_lab.tasks]\nreverse = backwards:Reverse\n")
    code = """
import json, sys
sys.path = json.loads(sys.argv[1])
import lab, tasks
task = lab.experiment("reverse", {"task.shown": 2}).task
same = tasks.from_description(task.description) == task
print(json.dumps([tasks.names()[-1], task.length, same, task.solve([3, 4, 10]) == [4, 3]]))
"""
    words = [sys.executable, "-c", code, json.dumps([*sys.path, str(tmp_path)])]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == ["reverse", 5, True, True]


def test_commands_find_a_task_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text(readme_example())
    command = [sys.executable, "-P", "-m", "lab", "tasks", "inspect", "my_tasks:Reverse", "--shown", "4", "--drawn", "50"]
    here = str(Path(lab.__file__).parents[1])
    answer = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": here}, capture_output=True, text=True, check=False
    )
    assert answer.stderr == ""
    assert "9 to 9" in answer.stdout
