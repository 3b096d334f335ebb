import re
import subprocess
import sys

import pytest

import tasks
from tasks import TaskError
from tasks.errors import nearest
from tasks.induction import Induction


def test_importing_tasks_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import tasks, sys; tasks.get('induction'); tasks.get('stories'); print({'torch', 'pandas', 'lab'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_a_misspelt_task_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(TaskError, match="did you mean 'induction'"):
        tasks.get("inductoin")


def test_a_misspelt_setting_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(TaskError, match="did you mean 'vocabulary'"):
        tasks.get("induction", vocabluary=3)


def test_a_task_that_is_given_as_a_setting_too_is_rejected() -> None:
    with pytest.raises(TaskError, match="induction has no setting 'name'"):
        tasks.get("induction", name="star")


@pytest.mark.parametrize("path", ["no.such.module:Task", "tasks.core.base:Missing", "json:dumps", ":", "tasks.core.base:"])
def test_a_users_class_that_is_not_a_task_is_rejected(path: str) -> None:
    with pytest.raises(TaskError):
        tasks.find(path)


class Outer:
    class Inner(Induction):
        pass


def test_a_class_within_a_class_is_found_by_its_description() -> None:
    task = Outer.Inner(vocabulary=25)
    assert tasks.from_description(task.description) == task


def test_a_description_needs_a_name() -> None:
    with pytest.raises(TaskError, match="must have a name"):
        tasks.from_description({"vocabulary": 3})


def test_every_name_in_the_table_is_the_tasks_own() -> None:
    for name in tasks.TASKS:
        assert tasks.find(name).name == name


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("accuracy/copy", ["accuracy/copy/2", "accuracy/copy/1", "loss/copy/1"], "did you mean 'accuracy/copy/1'?"),
        ("report", ["plot", "reproduce", "resume"], "did you mean 'reproduce'?"),
        ("emergance", ["emergence", "survival"], "did you mean 'emergence'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("x", [], "known: "),
    ],
)
def test_the_nearest_name_has_the_same_beginning(name: str, known: list[str], expected: str) -> None:
    assert nearest(name, known) == expected


def test_every_role_of_our_tasks_has_a_label() -> None:
    for name in tasks.TASKS:
        task = tasks.get(name)
        roles = {re.sub(r"_\d+$", "_#", role) for role in task.roles[1:] if "/" not in role}
        assert roles <= task.role_labels.keys(), name


@pytest.mark.parametrize(
    ("task", "role", "label"),
    [
        ("induction", "copy", "copied segment"),
        ("addition", "carry_12", "sum digits that depend on 12 lower ones"),
        ("spelled", "first_new/2", "first new, symbol 2"),
        ("induction", "all", "all scored tokens"),
        ("induction", "of_a_user", "of a user"),
    ],
)
def test_roles_have_readable_labels(task: str, role: str, label: str) -> None:
    assert tasks.find(task).role_label(role) == label


def test_a_list_of_known_names_has_no_repetition_and_an_end() -> None:
    assert nearest("zzzz", ["bb", "aa", "bb"]) == "known: aa, bb"
    assert nearest("zzzz", [f"name{number:03}" for number in range(50)]).endswith("name039, and 10 more")
