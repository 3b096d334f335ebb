"""Ensembles: each member ends with the numbers of a run trained separately."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.cli.main import main
from lab.config import Experiment
from lab.errors import LabError
from lab.training import several
from tests.helpers.ensembles import assert_close, ensemble, heads_and_seeds, values
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process


def short(**changes: object) -> Experiment:
    """Return a tiny experiment of six steps that does not measure attention heads."""
    return tiny(**{"steps": 6, "evaluation__measures__induction": 0, **changes})


def assert_equal_to_rounding(one: lab.Run, other: lab.Run) -> None:
    """Assert that two runs of one experiment have equal metrics, and weights that differ in their last bits at most."""
    assert one.experiment == other.experiment
    assert_close(one, other)
    mine, theirs = one.model().state_dict(), other.model().state_dict()
    assert mine.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert (mine[name] - weight).norm() <= 1e-5 * weight.norm(), (one.path, name)


@pytest.mark.parametrize(
    "changed",
    [
        {"evaluation__measures__induction": 1},
        {"accumulate": 2},
        {"objective__detached": True},
        {"objective__active": [[0, 2], [4, 1]]},
        {"objective__active": "up", "objective__detached": True},
        {"n_future": 1, "objective__detached": True},
        {"model__heads": "replicated", "objective__weights": [1, 0]},
        {"optimiser__clip_norm": None},
        {"model__heads": "sequential", "model__layers": 5},
        {"examples": 8},
    ],
    ids=str,
)
def test_each_run_ends_as_if_trained_separately(changed: dict[str, object], tmp_path: Path) -> None:
    experiment = short(**changed)
    together = lab.train_ensemble(ensemble(experiment, tmp_path / "together"))
    alone = lab.train_each(ensemble(experiment, tmp_path / "alone"))
    for one, other in zip(together, alone, strict=True):
        assert_equal_to_rounding(one, other)
        assert one.state == "finished"
        assert not list(one.path.glob("checkpoint-*"))
    assert values(together[0]) != values(together[1])


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"model__heads": "causal"},
        {"model__mlp": "gelu", "objective__weights": "decay", "objective__extra_weight": 0.5, "accumulate": 2},
        {"objective__name": "shuffled", "optimiser__clip_norm": 0.1, "evaluation__measures__gradients": 1},
    ],
    ids=str,
)
def test_members_with_different_n_end_as_separately(changed: dict[str, object], tmp_path: Path) -> None:
    experiment = short(model__layers=5, **changed)
    together = lab.train_ensemble(heads_and_seeds(experiment, tmp_path / "together"))
    alone = lab.train_each(heads_and_seeds(experiment, tmp_path / "alone"))
    for one, other in zip(together, alone, strict=True):
        assert_equal_to_rounding(one, other)


def test_members_in_groups_end_as_in_one_ensemble(tmp_path: Path) -> None:
    whole = lab.train_ensemble(ensemble(short(), tmp_path / "whole"))
    for size in (1, 2):
        groups = lab.train_ensemble(ensemble(short(), tmp_path / f"groups of {size}"), size=size)
        assert [run.name for run in groups] == [run.name for run in whole]
        for one, other in zip(groups, whole, strict=True):
            assert_equal_to_rounding(one, other)


@given(size=st.integers(1, 40), at_once=st.integers(1, 50))
def test_groups_keep_the_order_and_are_few_and_even(size: int, at_once: int) -> None:
    cut = several.groups(range(size), at_once)
    sizes = [len(group) for group in cut]
    assert [member for group in cut for member in group] == list(range(size))
    assert max(sizes) <= at_once
    assert max(sizes) - min(sizes) <= 1
    assert len(cut) - 1 < size / at_once <= len(cut)


def test_a_cpu_trains_smaller_ensembles_of_large_networks() -> None:
    small = several.default_ensemble_size(tiny(accelerator="cpu"))
    assert small > 8
    assert several.default_ensemble_size(tiny(accelerator="cpu", model__width=1024, batch_size=4096)) == 1
    assert several.default_ensemble_size(tiny(accelerator="cpu", accumulate=2)) in (2 * small, 2 * small + 1)


def test_finished_ensembles_are_left_unchanged(tmp_path: Path) -> None:
    runs = lab.train_ensemble(ensemble(short(), tmp_path))
    before = [(run.path / "run.json").read_bytes() for run in runs]
    assert [run.path for run in lab.train_ensemble(ensemble(short(), tmp_path))] == [run.path for run in runs]
    assert [(run.path / "run.json").read_bytes() for run in runs] == before


def test_incompatible_members_are_rejected(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    wrong = {
        "different seeds": {one: tiny(seed=1), other: tiny(seed=1)},
        "agree in all settings but the seed": {one: tiny(seed=1), other: tiny(seed=2, steps=8)},
        "devices must be 1": {one: tiny(devices=2)},
        "heads parallel or causal": {one: tiny(model__heads="residual"), other: tiny(model__heads="residual", n_future=1)},
        "matched parameters": {one: tiny(model__matched="none"), other: tiny(model__matched="none", n_future=1)},
        "detach none": {one: tiny(objective__detached=True), other: tiny(objective__detached=True, n_future=1)},
        "train all heads": {one: tiny(objective__active="up"), other: tiny(objective__active="up", n_future=1)},
    }
    for message, experiments in wrong.items():
        with pytest.raises(LabError, match=message):
            lab.train_ensemble(experiments)
    with pytest.raises(LabError, match="size must be at least 1, not 0"):
        lab.train_ensemble({one: tiny(seed=1)}, size=0)
    with pytest.raises(LabError, match=r"size must be a whole number, not 2\.5"):
        lab.train_ensemble({one: tiny(seed=1)}, size=2.5)  # type: ignore[arg-type]
    assert not one.exists()
    make_run(one, tiny(seed=1))
    with pytest.raises(LabError, match="holds a run of another experiment"):
        lab.train_ensemble({one: tiny(seed=2)})


@pytest.mark.parametrize("together", [[], ["--ensemble"], ["--ensemble", "--ensemble-size", "1"]])
def test_the_command_trains_each_seed_once(together: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.yaml").write_text(lab.dump(short()))
    words = ["train", "--config", str(tmp_path / "e.yaml"), "--seeds", "3:5", "--out", str(tmp_path / "runs"), *together]
    assert main(words) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["seed3", "seed4"]
    output = capsys.readouterr().out
    assert output.count("after 6 steps") == 2
    assert main(words) == 0, "the second call has nothing to do"


def test_the_command_trains_several_numbers_of_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.yaml").write_text(lab.dump(short()))
    words = ["train", "--config", str(tmp_path / "e.yaml"), "--seeds", "3,4", "--n-future", "1,2", "--ensemble"]
    assert main([*words, "--print-config"]) == 0
    output = capsys.readouterr().out
    assert ("n_future: 1" in output, "n_future: 2" in output) == (True, True)
    assert main(words) == 2
    assert "need --out" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "runs")]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["n1-seed3", "n1-seed4", "n2-seed3", "n2-seed4"]


def test_no_ensemble_trains_if_a_later_one_cannot(tmp_path: Path) -> None:
    members = [(1, 0), (1, 1), (2, 0), (3, 0)]
    settings = {"model__matched": "layers", "model__layers": 5}
    runs = {tmp_path / f"runs/{n}-{seed}": short(n_future=n, seed=seed, **settings) for n, seed in members}
    with pytest.raises(LabError, match="only if they have equal layers"):
        lab.train_ensemble(runs, size=2)
    assert not (tmp_path / "runs").exists()
