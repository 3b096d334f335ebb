"""Stories of a corpus: batches are pure, the cache is safe, and bad input is rejected."""

import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.stories.corpus import hash_file
from tasks.stories.corpus.cache import load_or_make
from tests.helpers.stories import VOCABULARY, stories


def checksums(task: Task) -> list[int]:
    return [zlib.crc32(task.batch(7, 2, 16, split).tokens.tobytes()) for split in SPLITS]


def test_a_fresh_process_with_a_fresh_cache_gives_the_same_bits(task: Task, tmp_path: Path) -> None:
    code = """
import json, sys, tasks, zlib
task = tasks.from_description(json.loads(sys.argv[1]))
print(json.dumps([task.fingerprint, [zlib.crc32(task.batch(7, 2, 16, split).tokens.tobytes()) for split in tasks.SPLITS]]))
"""
    elsewhere = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, json.dumps(task.description)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=elsewhere)
    assert json.loads(answer.stdout) == [task.fingerprint, checksums(task)]
    (made,) = (tmp_path / "mtp-lab").iterdir()
    assert (made / "tokenizer.json").read_text() == task.artifacts()["tokenizer.json"]


def test_a_task_can_be_sent_to_spawned_workers(task: Task) -> None:
    assert len(pickle.dumps(task)) < 2000, "arrays and the tokenizer are not pickled"
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        assert workers.map(checksums, [task, task]) == [checksums(task)] * 2


def test_workers_that_build_a_corpus_concurrently_agree(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    description = {"name": "stories", "corpus": str(text), "vocabulary": 400, "length": 300}
    code = "import json, sys, tasks; print(tasks.from_description(json.loads(sys.argv[1])).batch(0, 0, 4).tokens.sum())"
    command = [sys.executable, "-c", code, json.dumps(description)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    assert len(list((tmp_path / "mtp-lab").iterdir())) == 1, "there is one entry and nothing else"


def test_the_fingerprint_follows_the_content_not_the_path(task: Task, text: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    shutil.copy(text, copy)
    same = tasks.get("stories", **{**task.settings, "corpus": str(copy)})
    assert same.fingerprint == task.fingerprint
    assert checksums(same) == checksums(task)
    copy.write_text(copy.read_text() + "\n\n" + stories(1, seed=5)[0])
    changed = tasks.get("stories", **{**task.settings, "corpus": str(copy)})
    assert changed.fingerprint != task.fingerprint
    assert checksums(same) == checksums(task), "a task keeps the content that it was built from"


@pytest.mark.parametrize(
    "change",
    [{"vocabulary": 470}, {"length": 257}, {"unseen": 0.0}, {"first_names": 20}, {"second_names": 30}, {"mix": "text"}],
)
def test_the_fingerprint_follows_every_setting(task: Task, text: Path, change: dict[str, Any]) -> None:
    change = {name: str(text) if value == "text" else value for name, value in change.items()}
    assert tasks.get("stories", **{**task.settings, **change}).fingerprint != task.fingerprint


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_and_byte_order_marks_change_no_sequence(task: Task, text: Path, tmp_path: Path, end: str) -> None:
    (tmp_path / "books.txt").write_text("".join(f"one line of {n} words\n" for n in range(2000)))
    originals = {"corpus": text, "mix": tmp_path / "books.txt"}
    plain = tasks.get("stories", **{**task.settings, "mix": str(originals["mix"])})
    for setting, path in originals.items():
        changed = tmp_path / f"{setting}-changed.txt"
        changed.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", end.encode()))
        other = tasks.get("stories", **{**plain.settings, setting: str(changed)})
        assert other.fingerprint == plain.fingerprint
        assert checksums(other) == checksums(plain)


def test_the_hash_of_a_text_is_that_of_its_bytes(tmp_path: Path) -> None:
    """Also if CR and LF are in different blocks of the file."""
    plain, other = b"x" * ((1 << 20) - 1) + b"\n" + b"y\n", b"x" * ((1 << 20) - 1) + b"\r\n" + b"y\r"
    for name, content in (("plain", plain), ("other", other)):
        (tmp_path / name).write_bytes(content)
        assert hash_file("stories.corpus", str(tmp_path / name)) == hashlib.sha256(plain).hexdigest()


def test_the_grammars_fingerprint_has_not_changed() -> None:
    assert tasks.get("stories").fingerprint == "9877f943ee9d2c8c"


def test_artifacts_are_the_tokenizer_and_the_source(task: Task) -> None:
    files = task.artifacts()
    from tokenizers import Tokenizer

    assert Tokenizer.from_str(files["tokenizer.json"]).get_vocab_size() == VOCABULARY
    assert json.loads(files["corpus.json"])["stories"] == task.facts()
    assert tasks.get("stories").artifacts() == tasks.get("stories").facts() == {}


def test_a_description_can_be_read_without_its_corpus(task: Task) -> None:
    description = {**task.description, "corpus": "nowhere/at/all.txt"}
    read = tasks.from_description(description, check_files=False)
    assert (read.vocab_size, read.length, read.roles) == (task.vocab_size, task.length, task.roles)
    assert read.floor("second_again") is read.chance("second_again") is None
    with pytest.raises(TaskError, match=r"stories\.corpus: nowhere/at/all.txt: No such file"):
        read.batch(0, 0, 1)


def test_the_grammar_does_not_load_tokenizers() -> None:
    code = "import tasks, sys; tasks.get('stories').batch(0, 0, 2); print('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_cache_entry_is_made_once_unless_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[int] = []

    def make(folder: Path) -> None:
        made.append(1)
        (folder / "value.txt").write_text("value")

    for _ in range(2):
        folder = load_or_make({"a": 1}, make)
    assert len(made) == 1
    assert load_or_make({"a": 2}, make) != folder
    (folder / "complete.json").unlink()
    assert load_or_make({"a": 1}, make) == folder
    assert (folder / "value.txt").read_text() == "value"
    assert len(made) == 3


def test_a_failure_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        load_or_make({"a": 1}, lambda folder: (folder / "half.txt").write_text("x") and 1 // 0)
    assert list((tmp_path / "mtp-lab").iterdir()) == []


def test_without_a_home_folder_a_cache_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(TaskError, match="XDG_CACHE_HOME must name a folder"):
        load_or_make({"a": 1}, lambda folder: None)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mtp-lab").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TaskError, match=r"mtp-lab.*XDG_CACHE_HOME"):
        load_or_make({"a": 1}, lambda folder: None)


STORY = "Tom met Anna in the park. Tom ran to Anna."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (b"abc \xff\xfe story", r"not UTF-8 text \(byte 4 is 0xff\)"),
        (b"\x7fELF\0\0\0", "a binary file"),
        (STORY.encode(), "one story; they must be separated by"),
        (b"<|endoftext|>" + STORY.encode() + b"\n<|endoftext|>\n", "one story"),
        ("\n\n".join(["nobody is here", "nor there"] * 50).encode(), "no name of the list occurs in it"),
        ("\n\n".join([STORY] * 50).encode(), "too few; none of them is in"),
        ("\n\n".join(STORY + " so" * number for number in range(90)).encode(), "vocabulary must be at most"),
    ],
    ids=["missing", "empty", "blank", "latin", "binary", "one", "one again", "nameless", "all alike", "poor"],
)
def test_an_unusable_corpus_is_rejected_by_name(content: bytes | None, message: str, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "c.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaskError, match=message) as rejected:
        tasks.get("stories", corpus=str(path), vocabulary=VOCABULARY)
    assert str(rejected.value).startswith("stories.")
    assert "\n" not in str(rejected.value)


def test_a_folder_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Is a directory"):
        tasks.get("stories", corpus=str(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 257}, "vocabulary must be between 258 and 1048576, not 257"),
        ({"vocabulary": 2**21}, "vocabulary must be between 258 and 1048576, not 2097152"),
        ({"vocabulary": 260, "length": 600, "unseen": 0.0}, "too few names of two tokens"),
        ({"length": 20}, r"stories.length: no story of train has at most 20 tokens \(the shortest has"),
        ({"length": 1}, "length must be at least 2"),
        ({"unseen": 0.5}, r"unseen must be at most 0\.\d+"),
        ({"first_names": 7}, "first_names must be between 8"),
        ({"mix_share": 0.5}, r"mix_share must be 0\.9, its default, with a corpus and without a mix"),
        ({"mix": "c.txt", "mix_share": 1.5}, "mix_share must be between 0 and 1"),
        ({"mix": "nowhere.txt"}, r"stories\.mix: nowhere.txt: No such file"),
        ({"names_file": "nowhere.txt"}, r"stories\.names_file: nowhere.txt: No such file"),
        ({"fresh": 0.5}, r"stories\.fresh must be 0\.0, its default, with a corpus"),
        ({"characters": [2, 3]}, r"stories\.characters must be \(2, 4\), its default, with a corpus"),
        ({"names": 40}, r"stories\.names must be 500, its default, with a corpus"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_settings_are_rejected_by_name(task: Task, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("stories", **{**task.settings, **wrong})


@pytest.mark.parametrize("idle", [{"names_file": "n.txt"}, {"vocabulary": 300}, {"mix": "b.txt"}, {"mix_share": 0.5}])
def test_settings_of_a_corpus_are_rejected_without_one(idle: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="its default, without a corpus, where it has no effect"):
        tasks.get("stories", **idle)


@pytest.mark.parametrize(("names", "message"), [("Tom\nO'Neil", '"O\'Neil" is not a name'), ("  ", "empty")])
def test_an_unusable_list_of_names_is_rejected(task: Task, tmp_path: Path, names: str, message: str) -> None:
    (tmp_path / "names.txt").write_text(names)
    with pytest.raises(TaskError, match=message):
        tasks.get("stories", **{**task.settings, "names_file": str(tmp_path / "names.txt")})


def test_another_text_shorter_than_a_sequence_is_rejected(task: Task, tmp_path: Path) -> None:
    (tmp_path / "books.txt").write_text("a short book")
    with pytest.raises(TaskError, match=r"stories\.mix: .*fewer than a sequence of 256"):
        tasks.get("stories", **{**task.settings, "mix": str(tmp_path / "books.txt")})
