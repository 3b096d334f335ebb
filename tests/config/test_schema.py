"""Files of earlier versions open, and their fingerprints stay: tests/fixtures/schema_1 was written by version 0.1.0."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.cli.main import main
from lab.config.evaluation import MEASURES
from lab.config.files import flat
from lab.config.names import RENAMED, rename_settings
from tests.helpers.tiny import tiny

OLD = Path(__file__).parents[1] / "fixtures" / "schema_1"
FINGERPRINTS = {
    "addition": "30b9c2bcdb7cdc9f",
    "agreement": "5681f538b79b7dfe",
    "bigram": "fdaf8e54fb388222",
    "discovery": "8060fc5ee6769a0f",
    "induction": "b12acb6ba2c8bb4d",
    "markov": "49445d19fb711c1e",
    "maze": "1579488030869643",
    "modular": "24e8f97bd9a32c69",
    "polynomial": "1f5ad25581456b9c",
    "recall": "d9099c6520a80fac",
    "spelled": "720896a8a67eae1d",
    "star": "3a40d2e3e53b924e",
    "stories": "7fc7b007b44bd1c9",
}
"""Fingerprint of each task's default experiment in version 0.1.0."""


def test_an_earlier_run_opens_with_its_fingerprint() -> None:
    run = lab.Run(OLD / "run")
    assert run.experiment.grad_accum_steps == 2
    assert run.experiment.evaluation.measures == {"induction": 0, "training": 1, "gradients": 1, "rank": 0}
    assert run.experiment.fingerprint == run.record["fingerprint"]
    assert not run.is_edited
    assert run.model().n_future == 2
    assert set(run.frame()["step"]) == {0, 2}


def test_an_earlier_sweep_file_opens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(OLD / "sweep.yaml"), "--plan"]) == 0
    assert capsys.readouterr().out.startswith("4 runs")


@pytest.mark.parametrize("task", FINGERPRINTS)
def test_fingerprints_of_experiments_do_not_change(task: str) -> None:
    assert lab.experiment(task).fingerprint == FINGERPRINTS[task]


def test_a_setting_given_under_both_names_is_rejected() -> None:
    with pytest.raises(lab.LabError, match="setting grad_accum_steps is given twice"):
        tiny(accumulate=2, grad_accum_steps=2)


@given(st.dictionaries(st.sampled_from([*RENAMED, "steps", "model.width"]), st.integers(1, 9)), st.booleans())
def test_old_names_become_the_new_ones_nested_or_dotted(settings: dict[str, int], nested: bool) -> None:
    given: dict[str, Any] = {}
    for name, value in settings.items():
        group, dot, last = name.rpartition(".")
        if nested and dot:
            given.setdefault(group, {})[last] = value
        else:
            given[name] = value
    assert flat(rename_settings(given)) == {RENAMED.get(name, name): value for name, value in settings.items()}


def test_newer_settings_at_their_defaults_keep_the_fingerprint() -> None:
    plain = tiny()
    assert tiny(evaluation__measures__training=1, optimiser__epsilon=1e-8).fingerprint == plain.fingerprint
    usual = {name: entry.every for name, entry in MEASURES.items()}
    newer: list[dict[str, Any]] = [
        {"optimiser__epsilon": 1e-7},
        {"evaluation__measures__training": 0},
        {"evaluation__measures__induction": 2},
        {"evaluation__measures__rank": 1},
        {"evaluation__measures": {**usual, "module:f": 1}},
    ]
    assert len({plain.fingerprint, *(tiny(**settings).fingerprint for settings in newer)}) == 1 + len(newer)
