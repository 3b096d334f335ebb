"""Measures: a user's own, the points at which they are taken, and what is rejected."""

import math
from pathlib import Path

import pytest
import torch

import lab
from lab.config.evaluation import MEASURES
from lab.evaluation.evaluator import Evaluator, load_measure
from lab.model import build
from tests.helpers.tiny import tiny

MINE = "tests.helpers.users_measure"
RANK = f"{MINE}:effective_rank"


def test_a_users_measure_is_a_metric_of_the_run(tmp_path: Path) -> None:
    experiment = tiny(evaluation__measures={RANK: 2})
    run = lab.train(experiment, tmp_path / "run")
    ranks = {row.step: row.value for row in run.metrics() if row.metric == "effective_rank/induction"}
    assert list(ranks) == [0, 6, 12], "every second evaluation point of 0, 3, 6, 9, 12, and the last"
    values = torch.linalg.svdvals(run.model().embedding.weight.detach())
    shares = values / values.sum()
    assert ranks[12] == pytest.approx(math.exp(-float((shares * shares.log()).sum())), rel=1e-5)
    assert any(row.metric == "far:effective_rank/induction" for row in run.metrics()), "on variants too"
    assert lab.Run(run.path).experiment == experiment


def test_measures_do_not_change_training(tmp_path: Path) -> None:
    runs = [
        lab.train(tiny(steps=6, evaluation__measures=measures), tmp_path / str(number))
        for number, measures in enumerate([{}, {"gradients": 1, "rank": 1, RANK: 1}, dict.fromkeys(MEASURES, 0)])
    ]
    assert len({(run.path / "model.safetensors").read_bytes() for run in runs}) == 1


def test_a_measure_at_0_is_never_taken() -> None:
    experiment = tiny(evaluation__measures=dict.fromkeys(MEASURES, 0))
    values = Evaluator(experiment)(build(experiment), training={"train/loss/1": 1.0})
    quantities = {name.rpartition(":")[2].partition("/")[0] for name in values}  # without a variant, as in far:loss/all/1
    assert quantities == {"loss", "accuracy", "icl"}


def test_a_network_that_is_not_finite_has_no_measures() -> None:
    experiment = tiny(evaluation__measures={RANK: 1})
    network = build(experiment)
    names = Evaluator(experiment)(network).keys()
    network.embedding.weight.data[0] = math.nan
    values = Evaluator(experiment)(network)
    assert values.keys() == names
    assert all(map(math.isnan, values.values()))


def test_two_metrics_with_one_name_are_rejected() -> None:
    experiment = tiny(evaluation__measures={f"{MINE}:repeated": 1})
    with pytest.raises(lab.LabError, match="loss/all/1 is a metric of another measure"):
        Evaluator(experiment)(build(experiment))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{MINE}:not_a_function", "is not a function of a network and a batch"),
        (f"{MINE}:missing", "cannot be imported"),
        ("nowhere:function", "cannot be imported"),
    ],
)
def test_an_invalid_measure_is_rejected_before_training(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match=message):
        lab.train(tiny(evaluation__measures={name: 1}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ({"inductoin": 1}, "unknown measure 'inductoin' in evaluation.measures; did you mean 'induction'"),
        ({"induction": -1}, "evaluation.measures.induction must be a whole number"),
        ({"induction": 1.5}, "evaluation.measures.induction must be a whole number"),
        ("induction", "evaluation.measures must be a mapping"),
    ],
)
def test_wrong_settings_of_measures_are_named(measures: object, message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        tiny(evaluation__measures=measures)


@pytest.mark.parametrize("name", MEASURES)
def test_the_table_names_functions(name: str) -> None:
    assert load_measure(name).__doc__
