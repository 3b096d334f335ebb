"""Experiments from names, settings and files, and the fingerprints that tell them apart."""

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import lab
import tasks
from lab.config import ModelSettings
from lab.config.files import from_settings, setting_names
from lab.config.presets import PAPER, PRESETS
from lab.config.yaml import read_yaml
from lab.errors import LabError

OTHER: dict[str, Any] = {
    "n_future": 2, "model.size": "1M", "model.width": 32, "model.layers": 6, "model.n_heads": 2, "model.matched": "none",
    "model.heads": "causal", "model.head_layer": 1, "budget.steps": 600, "budget.step_time": 1.5,
    "model.mlp": "gelu", "model.rope_base": 500.0, "optimiser.peak_lr": 1e-4, "optimiser.beta1": 0.8, "optimiser.beta2": 0.99,
    "optimiser.epsilon": 1e-6, "model.inner_width": 40, "model.norm_epsilon": 1e-5,
    "optimiser.weight_decay": 0.0, "optimiser.clip_norm": None, "schedule.warmup_steps": 7, "schedule.decay_ratio": 0.5,
    "evaluation.every": None, "evaluation.per_decade": 4, "evaluation.examples": 3, "evaluation.split": "test",
    "evaluation.measures.induction": 0, "checkpoint.seconds": 1.5, "steps": 99, "batch_size": 64, "grad_accum_steps": 2,
    "evaluation.measures.training": 0, "evaluation.stop.metric": "accuracy/copy/1",
    "evaluation.stop.threshold": 0.5, "evaluation.stop.hold": 3,
    "checkpoint.keep": "every", "checkpoint.keep_precision": "bfloat16",
    "examples": 500, "seed": 9, "precision": "bfloat16", "accelerator": "cpu", "devices": 2, "threads": 3,
    "task.vocabulary": 40, "task.length": 80, "objective.name": "shuffled", "objective.detached": True,
    "objective.weights": [2.5], "objective.extra_weight": 0.5, "objective.window": 2, "objective.active": "up",
    "objective.terms": [{"head": 1, "target": "copy"}], "objective.normalised": True,
    "objective.stages": [{"until": 1, "start": [1], "end": [0.5]}],
    "init": "runs/first", "evaluation.measures.gradients": 2, "compile": "default", "strategy": "ddp",
    "evaluation.measures.rank": 3,
}  # fmt: skip
"""A value for every setting that differs from its default."""
WHERE: dict[str, dict[str, Any]] = {
    "budget.steps": {"model.matched": "flops"},
    "budget.step_time": {"model.matched": "time"},
    "strategy": {"devices": 2, "batch_size": 128},
}
"""Further settings that a setting needs for a value other than its default, by setting."""
ONLY_ONE_VALUE = {"objective.teacherless", "task"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "optimiser.peak_lr": st.floats(1e-9, 10), "model.rope_base": st.floats(1e-3, 1e9),
            "seed": st.integers(0, 2**63 - 1),
            "optimiser.clip_norm": st.none() | st.floats(1e-6, 1e6), "evaluation.every": st.none() | st.integers(1, 9),
            "task.period": st.just([3, 9]), "n_future": st.integers(1, 3),
            "precision": st.sampled_from(["float32", "bfloat16"]),
        },
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_round_trip_through_yaml_loses_nothing(changed: dict[str, Any]) -> None:
    experiment = lab.experiment("induction", changed)
    again = from_settings(read_yaml(lab.dump(experiment), "text"))
    assert again == experiment
    assert again.fingerprint == experiment.fingerprint


def test_an_experiment_is_read_from_its_file(tmp_path: Path) -> None:
    experiment = lab.experiment("stories", {"task.fresh": 0.25})
    (tmp_path / "e.yaml").write_text(lab.dump(experiment))
    assert lab.load(tmp_path / "e.yaml") == experiment


EQUIVALENT: dict[str, tuple[Any, Any]] = {
    "n_future": (np.int64(2), 2), "steps": (1e3, 1000), "seed": (np.uint64(2**63 - 1), 2**63 - 1),
    "examples": (np.float64(500), 500),
    "evaluation.every": (5e1, 50), "optimiser.peak_lr": (np.float64(1e-3), 1e-3), "model.rope_base": (np.int32(500), 500.0),
    "objective.detached": (np.bool_(True), True), "objective.weights": (np.array([1.0, 0.5]), [1.0, 0.5]),
    "init": (Path("runs/first"), "runs/first"), "precision": (np.str_("bfloat16"), "bfloat16"),
    "task.vocabulary": (np.int64(40), 40), "task.length": (8e1, 80), "task.period": (np.array([3, 9]), [3, 9]),
}  # fmt: skip
"""Values of NumPy or Python and the plain values that they equal, by setting."""


@pytest.mark.parametrize("change", [lab.experiment, lambda task, settings: lab.override(lab.experiment(task), settings)])
def test_numpy_values_and_paths_become_plain_values(change: Callable[..., lab.Experiment]) -> None:
    given = change("induction", {"n_future": 2} | {name: value for name, (value, _) in EQUIVALENT.items()})
    plain = change("induction", {"n_future": 2} | {name: value for name, (_, value) in EQUIVALENT.items()})
    assert given == plain
    assert lab.dump(given) == lab.dump(plain)
    assert given.fingerprint == plain.fingerprint


def test_a_group_of_values_of_numpy_is_accepted() -> None:
    assert ModelSettings(width=np.int64(32), layers=np.int64(3)).width == 32  # type: ignore[arg-type]
    assert type(tasks.get("star", degree=np.int64(3), nodes=1.2e1 + 4).description["degree"]) is int
    with pytest.raises(tasks.TaskError, match=r"stories.corpus: gone.txt: No such file"):
        tasks.get("stories", corpus=Path("gone.txt"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1000.5}, "steps must be a whole number, not 1000.5"),
        ({"steps": np.float64("nan")}, "steps must be a whole number, not nan"),
        ({"optimiser.peak_lr": np.inf}, "optimiser.peak_lr must be a finite number"),
        ({"n_future": np.array([1, 2])}, r"n_future must be a whole number, not \[1, 2\]"),
        ({"n_future": 10**30}, "n_future must be at most 1000000000000"),
        ({"n_future": 10**11}, "n_future must be at most 3, not 100000000000"),
        ({"model.layers": 10**11}, "model.layers must be at most 10000"),
        ({"steps": 10**11}, "evaluation.every must be at least 100000 with steps = 100000000000, not 25"),
        ({"evaluation.per_decade": 10**9}, "evaluation.per_decade must be at most 10000"),
        ({"task.vocabulary": 10**30}, "induction.vocabulary must be at most 1000000000000"),
        ({"objective.weights": [10**400]}, "objective.weights must be one of"),
        ({"model": {"width": 32}, "model.width": 64}, "model.width is given twice"),
        ({"model": {1: 2}}, "model.1 must be a name"),
        ({1: 2}, "a setting must be a name, not 1"),
        ({"objective.weights": [functools.reduce(lambda inner, _: [inner], range(5000), [])]}, "nested this deeply"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_impossible_values_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        lab.experiment("induction", settings)


def test_every_setting_changes_the_fingerprint() -> None:
    assert set(OTHER) | ONLY_ONE_VALUE >= set(setting_names()), "a new setting needs a line in OTHER"
    usual = lab.experiment("induction")
    prints = {usual.fingerprint}
    for name, value in OTHER.items():
        prints.add(lab.override(usual, WHERE.get(name, {}) | {name: value}).fingerprint)
    prints |= {lab.override(usual, where).fingerprint for where in WHERE.values()}
    assert len(prints) == len(OTHER) + len(WHERE) + 1


def test_the_fingerprint_is_the_same_in_any_process_and_order() -> None:
    code = "import lab; print(lab.experiment('induction', {'seed': 3, 'steps': 77}).fingerprint)"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert elsewhere == lab.experiment("induction", {"steps": 77, "seed": 3}).fingerprint


def test_a_size_and_its_numbers_replace_each_other() -> None:
    small = lab.experiment("induction")
    sized = lab.override(small, {"model.size": "3M"})
    assert sized.model.shape == (256, 4, 8)
    again = lab.override(sized, {"model.width": 64})
    assert (again.model.size, again.model.shape) == (None, (64, 4, 8))
    with pytest.raises(LabError, match=r"model\.width must be 256 at model\.size 3M, not 64"):
        lab.override(small, {"model.size": "3M", "model.width": 64})


def test_experiments_are_frozen() -> None:
    with pytest.raises(ValidationError):
        lab.experiment("induction").__setattr__("steps", 3)


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_has_a_default_experiment(task: str) -> None:
    assert lab.experiment(task).task.name == task


def test_presets_are_of_known_tasks() -> None:
    assert set(PRESETS) | set(PAPER) <= set(tasks.names())


@pytest.mark.parametrize("task", PAPER)
def test_the_papers_scale_has_the_papers_numbers(task: str) -> None:
    """The numbers are those of Tables S13 and S14 and of sections 4.1 and 4.2."""
    experiment = lab.experiment(task, scale="paper", n_future=2)
    assert experiment.positions_per_step == pytest.approx(2**18, rel=1e-3)
    assert (experiment.steps, experiment.schedule.warmup_steps, experiment.schedule.decay_ratio) == (100_000, 2000, 0.03)
    adamw = experiment.optimiser
    assert (adamw.peak_lr, adamw.beta1, adamw.beta2, adamw.weight_decay, adamw.clip_norm) == (1e-4, 0.9, 0.95, 0.1, 1.0)
    assert experiment.model.size == ("30M" if task == "polynomial" else "1M")
    if task == "polynomial":
        assert (experiment.task.p, experiment.task.k, experiment.task.operations) == (7, 5, (1, 5))  # type: ignore[attr-defined]
        assert experiment.evaluation.examples == 2000
    assert lab.experiment(task, {"model.size": "10M"}, scale="paper", steps=5000).model.width == 384


def test_a_scale_that_a_task_lacks_is_rejected() -> None:
    with pytest.raises(
        lab.LabError, match="recall has no settings of the paper; tasks that have: induction, polynomial, stories"
    ):
        lab.experiment("recall", scale="paper")
    with pytest.raises(lab.LabError, match="must be one of laptop, paper"):
        lab.experiment("stories", scale="cluster")


def test_heads_take_their_layers_from_the_trunk() -> None:
    for n in (1, 2, 3):
        assert lab.experiment("induction", n_future=n).trunk_layers == 4 - n
        assert lab.experiment("induction", {"model.matched": "none"}, n_future=n).trunk_layers == 3


@pytest.mark.parametrize(
    ("task", "fingerprint"),
    [("induction", "085ea97e317f20a6"), ("star", "1738e618b6614134"), ("agreement", "e093956be3232061")],
)
def test_a_newer_setting_at_its_default_keeps_fingerprints(task: str, fingerprint: str) -> None:
    """Fingerprints from before the setting `optimiser.epsilon` existed."""
    experiment = lab.experiment(task, n_future=2, seed=3)
    assert experiment.fingerprint == fingerprint
    assert lab.override(experiment, {"optimiser.epsilon": 1e-6}).fingerprint != fingerprint


@pytest.mark.parametrize("settings", [{"task": "induction"}, {"task.name": "induction"}, {"task": {"name": "induction"}}])
def test_another_task_among_the_settings_is_rejected(settings: dict[str, Any]) -> None:
    with pytest.raises(lab.LabError, match="the task is given twice, as star and as induction"):
        lab.experiment("star", settings)
    assert lab.experiment("induction", settings).task.name == "induction"
