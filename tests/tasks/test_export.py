"""Test sets as files: exported lines can be drawn again, and wrong lines are named by number."""

import json
from pathlib import Path

import numpy as np
import pytest

import tasks
from tasks import Task, TaskError
from tasks.export import export_lines, read_file

STAR = tasks.get("star", degree=2, arm=3, nodes=10)
PUBLIC = "2,8|5,2|5,9|9,3/5,8=5,2,8\n1,6|1,5|5,3|6,2/1,2=1,6,2\n0,6|6,1|7,2|0,7/0,1=0,6,1\n"
"""Lines in the form of the repository Next-Token-Failures, data/datasets/graphs."""


def test_an_exported_line_can_be_redrawn_and_read(task: Task, tmp_path: Path) -> None:
    lines = list(export_lines(task, "test", 8, seed=3))
    rows = []
    for index, line in enumerate(lines):
        fields = json.loads(line)
        assert list(fields) == ["line", "task", "settings", "split", "seed", "index"]
        assert fields["index"] == index
        again = tasks.get(fields["task"], **fields["settings"]).batch(fields["seed"], fields["index"], 1, fields["split"])
        assert task.format(again) == fields["line"]
        rows.append(again)
    (tmp_path / "x.jsonl").write_text("".join(f"{line}\n" for line in lines))
    read = read_file(tmp_path / "x.jsonl", task)
    for field in ("tokens", "roles", "scored", "answer"):
        np.testing.assert_array_equal(getattr(read, field), np.concatenate([getattr(row, field) for row in rows]))


def test_a_longer_export_begins_with_the_lines_of_a_shorter() -> None:
    assert list(export_lines(STAR, size=4)) == list(export_lines(STAR, size=9))[:4]


def test_lines_of_the_public_data_are_read(tmp_path: Path) -> None:
    (tmp_path / "public.txt").write_text(PUBLIC)
    read = read_file(tmp_path / "public.txt", STAR)
    assert [STAR.format(read.row(index)) for index in range(3)] == PUBLIC.split()
    assert read.tokens[:, -2:].tolist() == [[2, 8], [6, 2], [6, 1]]


def test_files_with_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "public.txt").write_bytes(b"\xef\xbb\xbf" + PUBLIC.replace("\n", "\r\n").encode())
    (tmp_path / "plain.txt").write_text(PUBLIC)
    there, here = (read_file(tmp_path / name, STAR) for name in ("public.txt", "plain.txt"))
    np.testing.assert_array_equal(there.tokens, here.tokens)


def test_lines_of_compatible_settings_are_read(tmp_path: Path) -> None:
    near = tasks.get("induction", vocabulary=12, period=(3, 4), length=12)
    far = tasks.get("induction", vocabulary=12, period=(6, 6), length=12)
    (tmp_path / "far.jsonl").write_text("\n".join(export_lines(far, size=3)))
    np.testing.assert_array_equal(read_file(tmp_path / "far.jsonl", near).tokens[0], far.batch(0, 0, 1, "test").tokens[0])
    (tmp_path / "far.txt").write_text(far.format(far.batch(0, 0, 1)))
    with pytest.raises(TaskError, match=r"far.txt, line 1: induction: a sequence repeats a segment of 3 to 4"):
        read_file(tmp_path / "far.txt", near)


def test_the_model_decides_which_tokens_are_scored(tmp_path: Path) -> None:
    everything = tasks.get("star", degree=2, arm=3, nodes=10, loss_on="all")
    (tmp_path / "x.jsonl").write_text("\n".join(export_lines(STAR, size=2)))
    assert read_file(tmp_path / "x.jsonl", everything).scored.all()
    assert not read_file(tmp_path / "x.jsonl", STAR).scored.all()


GOOD = "2,8|5,2|5,9|9,3/5,8=5,2,8"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (f"{GOOD}\n2,8|5,2|5,9|9,3/5,8=5,9,3\n", "line 2: star: the path must be 5,2,8, not '5,9,3'"),
        (f"{GOOD}\n\n{GOOD}\n", "line 2: is empty"),
        (f"{GOOD}\n2,8|5,2|5,9/5,8=5,2,8\n", "line 2: star: the number of edges must be 4, not 3"),
        (f"{GOOD}\n2,8|5,2|5,9|9,30/5,8=5,2,8\n", "line 2: star: '9,30' is not an edge u,v"),
        ('{"line": 5}\n', "line 1: line must be the instance's text, not 5"),
        ('{"task": "star"}\n', "line 1: line must be the instance's text, not None"),
        ('{"line": "x", \n', "line 1: not JSON"),
        ('{"line":' * 20_000, "line 1: not JSON"),
        (f"{GOOD}\n2,{'9' * 5000}|5,2/5,8=5\n", "line 2: holds a number of thousands of digits"),
        (json.dumps({"line": "9" * 5000}), "line 1: holds a number of thousands of digits"),
        ('{"line": "1 2", "task": "recall", "settings": {}}\n', "line 1: task must be star, not 'recall'"),
        ('{"line": "1 2", "task": ["star"]}\n', "line 1: task must be a task's name"),
        ('{"line": "1 2", "task": "star", "settings": []}\n', "line 1: settings must be a mapping"),
        ('{"line": "1 2", "task": "star", "settings": {"degree": 9}}\n', "line 1: star.nodes must be at least"),
        ('{"line": "1 2", "task": "star", "settings": {"degre": 2}}\n', "did you mean 'degree'"),
        (
            '{"line": "1 2", "task": "star", "settings": {}}\n',
            "settings: vocab_size must be 10, as the model's, not 12",
        ),
        (
            json.dumps({"line": GOOD, "task": "star", "settings": {"degree": 2, "arm": 3, "nodes": 11}}),
            "line 1: settings: vocab_size must be 10, as the model's, not 11",
        ),
        ("", "must be a file with an instance a line, not 'empty'"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_wrong_line_is_named_by_number_and_fault(content: str | bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TaskError) as error:
        read_file(path, STAR)
    assert fault in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"split": "exam"}, {"seed": -1}])
def test_wrong_arguments_of_an_export_are_rejected(arguments: dict[str, object]) -> None:
    with pytest.raises(TaskError, match=next(iter(arguments))):
        list(export_lines(STAR, **arguments))  # type: ignore[arg-type]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"gone: No such file"):
        read_file(tmp_path / "gone", STAR)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"line": ' + 20_000 * "[" + 20_000 * "]" + "}", "nested too deeply"),
        ('{"line": "x", "settings": ' + 20_000 * '{"a": ' + "1" + 20_000 * "}" + "}", "nested too deeply"),
        ('{"line": ' + "9" * 5000 + "}", "a number with too many digits"),
        (20_000 * "[", "is not an edge u,v"),
    ],
    ids=["lists", "mappings", "digits", "no JSON"],
)
def test_huge_lines_are_rejected_in_one_short_line(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "data.jsonl").write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(TaskError, match=f"line 2: .*{fault}") as rejected:
        read_file(tmp_path / "data.jsonl", STAR)
    assert len(str(rejected.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_read(tmp_path: Path, end: str) -> None:
    (tmp_path / "data.txt").write_bytes(f"{GOOD}{end}{GOOD}{end}".encode())
    assert len(read_file(tmp_path / "data.txt", STAR)) == 2
