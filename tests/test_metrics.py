"""Names of metrics: `Metric` builds and parses them, and knows units, directions and labels."""

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lab
import tasks
from lab.evaluation.evaluator import Evaluator
from lab.metrics import QUANTITIES, Metric, headline_metric, in_variant
from lab.model import build
from lab.plots.axes import metric_label

ROLES = st.sampled_from(["copy", "case_first", "copy/1", "all", "carry_3/2"])
HEADS = st.integers(1, 12)
SITES = st.sampled_from(["trunk", "prediction", "trunk.0", "trunk.12", "prediction.1"])
PARTS = {
    "role": ("role", ROLES),
    "head": ("head", HEADS),
    "head or all": ("head", st.none() | HEADS),
    "site": ("site", SITES),
    "other_head": ("other_head", HEADS),
    "attention_head": ("attention_head", st.none() | st.integers(0, 30)),
}


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    name = draw(st.sampled_from(sorted(QUANTITIES)))
    parts = dict(PARTS[part] for part in QUANTITIES[name].parts)
    return Metric(name, draw(st.sampled_from(["", "far", "teacherless"])), **{key: draw(each) for key, each in parts.items()})


@given(metrics())
def test_parsing_the_name_of_a_metric_restores_it(metric: Metric) -> None:
    assert Metric.parse(str(metric)) == metric


@given(st.text(min_size=1))
@example(":0")
@example("gradient/share")
@example("loss/all/1\u0663")
def test_any_name_is_kept_verbatim(name: str) -> None:
    assert str(Metric.parse(name)) == name


@pytest.mark.parametrize("task", tasks.TASKS)
def test_names_of_a_run_can_be_parsed(task: str) -> None:
    """An untrained network has the metrics of a trained one."""
    settings = {"model.width": 8, "model.n_heads": 2, "evaluation.examples": 8, "batch_size": 2}
    experiment = lab.experiment(task, settings, n_future=2)
    names = list(Evaluator(experiment)(build(experiment)))
    assert [str(Metric.parse(name)) for name in names] == names
    assert all(Metric.parse(name).quantity.label != "{}" for name in names), "a kind of metric without a label"
    found = {Metric.parse(name) for name in names}
    assert headline_metric(experiment.task.headline) in found
    assert {each.variant for each in found} <= {"", *experiment.task.variants()}


@pytest.mark.parametrize(
    ("name", "label", "unit", "lower"),
    [
        ("accuracy/copy/1", "accuracy on the copied segment (next token)", "fraction", False),
        ("far:loss/copy/2", "loss on the copied segment (prediction head 2, variant far), nats", "nats", True),
        ("loss/all/1", "loss on all scored tokens (next token), nats", "nats", True),
        ("prefix_matching/trunk.0/2", "prefix-matching score (trunk layer 0, attention head 2)", "score", False),
        ("kl/bayes", "divergence from the bayes predictor, nats", "nats", True),
        ("sampled/dead_end", "fraction of dead end samples", "fraction", False),
        ("train/loss/2", "training loss (prediction head 2), nats", "nats", True),
        ("train/extra/ahead_2", "training loss of ahead 2, nats", "nats", True),
        ("train/extra/latent", "distance of predicted states, training", "", True),
        ("icl", "in-context-learning score, nats", "nats", True),
        ("effective_rank/trunk", "effective rank of the states (trunk)", "", False),
        ("effective_rank/prediction.2", "effective rank of the states (prediction head 2)", "", False),
        ("rank/trunk.0", "rank/trunk.0", "", False),
    ],
)
def test_a_metric_has_a_label_unit_and_direction(name: str, label: str, unit: str, lower: bool) -> None:
    metric = Metric.parse(name)
    assert metric.axis_label(tasks.find("induction").role_label) == label
    assert (metric.unit, metric.lower_is_better) == (unit, lower)


def test_a_frame_of_an_unknown_task_has_labels() -> None:
    frame = pd.DataFrame({"task": ["gone:Task"], "metric": ["accuracy/copy/1"]})
    assert metric_label("accuracy/copy/1", frame) == "accuracy on copy targets (next token)"
    assert "copied segment" in metric_label("accuracy/copy/1", frame.assign(task="induction"), width=200)


def test_a_variant_precedes_the_name() -> None:
    assert in_variant("far", "loss/all/1") == str(Metric("loss", "far", "all", 1))
