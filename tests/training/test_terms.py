"""Terms of the loss in training: exact equivalences, and every way to train."""

from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.evaluation.evaluator import Evaluator
from lab.model import build
from lab.sweeping.spec.configurations import grid_experiments
from lab.sweeping.spec.files import load
from lab.training.feed import Feed
from tests.helpers.ensembles import assert_close, ensemble
from tests.helpers.killing import assert_same_run, kill_in_step, train_killed
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

MOVED = [{"head": 1, "except_target": "copy"}, {"head": 1, "ahead": 3, "target": "copy"}, {"head": 2, "position": "copy"}]


def metrics(run: lab.Run, excluded: str) -> list[tuple[int, str, float]]:
    return [(row.step, row.metric, row.value) for row in run.metrics() if row.metric != excluded]


def test_a_head_without_terms_has_no_weight(tmp_path: Path) -> None:
    """Its parameters neither change nor decay, as with weight 0."""
    one = lab.train(tiny(objective__terms=[{"head": 1}]), tmp_path / "run")
    other = lab.train(tiny(objective__weights=[1, 0]), tmp_path / "weights")
    assert metrics(one, "train/loss/2") == metrics(other, "train/loss/2")
    assert (one.path / "model.safetensors").read_bytes() == (other.path / "model.safetensors").read_bytes()
    assert one.record["predicts"]["prediction head 2"] == "nothing"


def test_later_terms_replace_earlier_ones() -> None:
    one, other = [{"head": 2}, {"head": 1, "ahead": 2}, {"head": 1}], [{"head": 1}, {"head": 2}]
    tokens = [Feed(tiny(objective__terms=terms)).microbatches(3)[0].targets.tokens for terms in (one, other)]
    assert torch.equal(tokens[0][1], tokens[1][1])
    assert torch.equal(tokens[0][0], tokens[1][0])


@pytest.mark.parametrize(("world", "accumulate"), [(1, 4), (2, 2)])
def test_microbatches_split_the_targets_of_a_step(world: int, accumulate: int) -> None:
    (whole,) = Feed(tiny(objective__terms=MOVED)).microbatches(5)
    cut = tiny(grad_accum_steps=accumulate, objective__terms=MOVED)
    parts = [part for rank in range(world) for part in Feed(cut, rank=rank, world=world).microbatches(5)]
    assert torch.equal(torch.cat([part.targets.tokens for part in parts], dim=1), whole.targets.tokens)
    assert all(torch.allclose(part.counts_L * world * accumulate, whole.counts_L) for part in parts)


@pytest.mark.process
def test_a_killed_run_resumes_exactly(tmp_path: Path) -> None:
    experiment = tiny(objective__terms=MOVED)
    train_killed(experiment, tmp_path / "killed", kill_in_step)
    assert_same_run(lab.resume(tmp_path / "killed"), lab.train(experiment, tmp_path / "whole"))


def test_members_of_an_ensemble_train_as_separately(tmp_path: Path) -> None:
    for run in lab.train_ensemble(ensemble(tiny(objective__terms=MOVED), tmp_path)):
        assert_close(run, lab.train(run.experiment, tmp_path / "alone" / run.name))


@pytest.mark.parametrize(
    "more",
    [{}, {"objective__detached": True}, {"objective__active": [[0, 1], [5, 2]]}, {"objective__weights": [1, 0.3]}],
)
def test_a_list_of_all_terms_changes_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    plain = lab.train(tiny(**more), tmp_path / "plain")
    assert_same_run(lab.train(tiny(**more, objective__terms=[{"head": 1}, {"head": 2}]), tmp_path / "run"), plain)


def test_evaluation_measures_all_targets() -> None:
    plain, moved = (Evaluator(experiment)(build(experiment)) for experiment in (tiny(), tiny(objective__terms=MOVED)))
    assert moved == plain


def test_a_frame_describes_terms_in_words(tmp_path: Path) -> None:
    curve = {0: {"loss/all/1": 2.0}}
    for name, terms in {"a": "all", "b": MOVED[:2]}.items():
        make_run(tmp_path / name, tiny(objective__terms=terms), curve)
    found = lab.frame(lab.open_runs([tmp_path])).drop_duplicates("run").set_index("run")["objective.terms"]
    assert found["a"] == "all"
    assert found["b"] == "head 1 except target copy; head 1 ahead 3 target copy"


@pytest.mark.slow
def test_every_condition_of_the_sweep_of_terms_trains(tmp_path: Path) -> None:
    sweep = load(Path(__file__).parents[2] / "sweeps" / "terms.yaml")
    quick = {"steps": 4, "batch_size": 4, "schedule.warmup_steps": 1, "evaluation.every": 2}
    quick |= {"model.width": 8, "model.n_heads": 2}
    runs = {name: each for name, each in grid_experiments(sweep).items() if each.seed == sweep.seeds[0]}
    assert len(runs) == len(sweep.configurations) == 8
    trained = [lab.train(lab.override(each, quick), tmp_path / name) for name, each in runs.items()]
    last = [{row.metric: row.value for row in run.metrics() if row.step == 4}["loss/all/1"] for run in trained]
    assert len(set(last)) == len(last), "two conditions train alike"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # warnings of torch's compiler about torch's own code
def test_compiled_steps_train_as_eager_ones(tmp_path: Path) -> None:
    eager = lab.train(tiny(objective__terms=MOVED), tmp_path / "eager")
    compiled = lab.train(tiny(objective__terms=MOVED, compile="default"), tmp_path / "compiled")
    for one, other in zip(compiled.metrics(), eager.metrics(), strict=True):
        if one.metric.startswith(("loss", "train")):
            assert one.value == pytest.approx(other.value, rel=1e-4, abs=1e-4), one.metric
