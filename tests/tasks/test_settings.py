"""Settings of every task: unknown names, wrong types and numbers out of range."""

import dataclasses

import pytest

import tasks
from tasks import Task, TaskError


@pytest.mark.parametrize("name", tasks.names())
def test_unknown_settings_and_wrong_types_are_rejected(name: str) -> None:
    with pytest.raises(TaskError, match="no setting 'nonsense'"):
        tasks.get(name, nonsense=1)
    for field in dataclasses.fields(tasks.find(name)):
        with pytest.raises(TaskError, match=field.name) as rejected:
            tasks.get(name, **{field.name: object()})
        assert "\n" not in str(rejected.value)


def test_numbers_out_of_range_are_rejected_by_name(task: Task) -> None:
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            wrong: tuple[object, ...] = (-1, value + 0.5)
        elif isinstance(value, float):
            wrong = (float("nan"), float("inf"), -float("inf"))
        elif isinstance(value, tuple) and value and isinstance(value[0], int):
            wrong = ((-1,) * len(value), value[::-1] if value[0] != value[-1] else (), ())
        else:
            continue
        for each in wrong:
            with pytest.raises(TaskError, match=field.name) as rejected:
                dataclasses.replace(task, **{field.name: each})
            assert "\n" not in str(rejected.value)


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_beyond_a_float_are_rejected_by_name(digits: int) -> None:
    with pytest.raises(TaskError, match=r"maze\.slip must be a finite number, not "):
        tasks.get("maze", slip=10**digits)
    with pytest.raises(TaskError, match=r"maze\.nodes must be at most 1000000000000, not "):
        tasks.get("maze", nodes=10**digits)
    with pytest.raises(TaskError, match=r"maze\.nodes must be at least -1000000000000, not "):
        tasks.get("maze", nodes=-(10**digits))
