"""YAML 1.2 as files and command lines have it: what is read, written and rejected."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lab
import tasks
from lab.config.files import from_settings
from lab.config.yaml import read_yaml, write_yaml

CORE: dict[str, Any] = {
    "1:5": "1:5", "1:30:00": "1:30:00", "010": 10, "-010": -10, "0o10": 8, "0x10": 16, "0b11": "0b11", "1_000": "1_000",
    "yes": "yes", "no": "no", "On": "On", "off": "off", "y": "y", "true": True, "False": False,
    "3e-3": 3e-3, "1E5": 1e5, "-2.5e+1": -25.0, ".5e1": 5.0, "1.": 1.0, "1e3": 1000.0, ".inf": math.inf, "-.INF": -math.inf,
    "~": None, "null": None, "": None, "2026-11-26": "2026-11-26", "12:30": "12:30", "=": "=", "nan": "nan",
}  # fmt: skip
"""Plain scalars, and their values by the core schema of YAML 1.2."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(list(CORE)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(CORE)), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(("text", "value"), CORE.items())
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    read = read_yaml(text, "text")
    assert (read, type(read)) == (value, type(value))
    assert read_yaml(f"[{text or 'null'}, 1]", "text") == [value, 1]


@given(PLAIN)
@example(["\x85", "a\u2028b", "\u2029", "a\n", "\udcff", "\ufeff", "\t"])
@example(list(CORE))
@settings(max_examples=100, deadline=None)
def test_yaml_reads_back_equal_by_both_versions(value: object) -> None:
    text = write_yaml(value)
    assert read_yaml(text, "text") == value
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize("task", tasks.names())
def test_a_file_of_an_older_version_holds_the_same_experiment(task: str) -> None:
    experiment = lab.experiment(task, {"init": "runs/n1:2", "optimiser.peak_lr": 1e-5, "schedule.decay_ratio": 3e-2})
    written = yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    assert from_settings(read_yaml(written, "text")).fingerprint == experiment.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "text, line 3: 'a' is given twice"),
        ('a: 1\n"a": 1\n', "text, line 2: 'a' is given twice"),
        ("x:\n  1: a\n  01: b\n", "text, line 3: 1 is given twice"),
        ("{x: {n: 1, n: 1}}", "text, line 1: 'n' is given twice"),
        ("a: &a {k: 1}\nb: {<<: *a, <<: *a}\n", "text, line 2: '<<' is given twice"),
        ("a: &a [*a]", "text, line 1: not YAML (a value contains itself)"),
        ("? [1]\n: 2", "text, line 1: not YAML (found unhashable key)"),
        ("!!timestamp 2026-11-26", "line 1: not YAML (could not determine a constructor for the tag"),
        ("!!python/object:os.system {}", "line 1: not YAML (could not determine a constructor for the tag"),
        ("!!int many", "text: not YAML (invalid literal for int()"),
        (
            "\n".join([f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" if i else "a0: &a0 []" for i in range(10)]),
            "aliases stand for",
        ),
        ("a: 1\n--- \nb: 2", "text, line 2: not YAML (but found another document)"),
        ("a\0", "text: not YAML (special characters are not allowed)"),
        ("[" * 20_000, "text: not YAML that can be read (nested too deeply)"),
        ("9" * 5000, "text: not YAML (Exceeds the limit"),
    ],
    ids=lambda text: text[:20],
)
def test_invalid_yaml_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(lab.LabError) as raised:
        read_yaml(text, "text")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_does_not_end_is_rejected() -> None:
    with pytest.raises(lab.LabError, match="/dev/zero: must be at most 10000000 characters"):
        lab.load("/dev/zero")


def test_a_merged_key_may_be_replaced() -> None:
    text = "a: &a {k: 1, l: 2}\nb: &b {<<: *a, k: 3}\nc: {<<: *b, l: 4}\n"
    assert read_yaml(text, "text") == {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}, "c": {"k": 3, "l": 4}}
