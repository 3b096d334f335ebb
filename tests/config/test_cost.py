"""Parameters, depth and FLOPs in closed form, against built networks and torch's own counter."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lab.config import Experiment, ModelSettings
from lab.config.cost import count_parameters, non_embedding_parameters, trunk_layers
from lab.config.head_table import head_table, kind_table
from lab.config.kinds import KINDS, LAYER, HeadKind, ParameterCounts, find_kind
from lab.errors import LabError
from lab.model import Network, NetworkSpec, build
from lab.objectives import Targets, future_targets, multi_head_loss
from tests.helpers.flops import COUNTED_TOO
from tests.helpers.tiny import tiny

EVERY = pytest.mark.parametrize("kind", KINDS)


def experiment_of(kind: str, n_future: int, **changes: Any) -> Experiment:
    return tiny(n_future=n_future, **{"model__width": 16, "model__layers": 6, "model__heads": kind, **changes})


def model_of(kind: str, **changes: Any) -> ModelSettings:
    return ModelSettings(**{"width": 16, "layers": 8, "n_heads": 2, "heads": kind, **changes})


def build_on_meta(model: ModelSettings, n_future: int) -> Network:
    with torch.device("meta"):
        return Network(NetworkSpec(model, 12, n_future))


def count_flops(experiment: Experiment) -> int:
    """Count the operations of one training step with torch's counter."""
    network, task = build(experiment), experiment.task
    tokens_BT = torch.randint(task.vocab_size, (experiment.batch_size, task.length))
    targets = Targets(future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), experiment.n_future))
    with FlopCounterMode(display=False, custom_mapping=COUNTED_TOO) as counter:
        matrices = network.unembedding.matrices
        multi_head_loss(network(tokens_BT), matrices, targets, targets.per_head()).total.backward()
    return int(counter.get_total_flops())


@EVERY
@pytest.mark.parametrize(
    ("n_future", "matched", "mlp"), [(1, "none", "gelu"), (2, "layers", "gelu"), (4, "parameters", "swiglu")]
)
def test_flops_agree_with_the_counter_of_torch(kind: str, n_future: int, matched: str, mlp: str) -> None:
    experiment = experiment_of(kind, n_future, model__matched=matched, model__mlp=mlp)
    assert experiment.flops_per_step == count_flops(experiment)


def test_flops_do_not_depend_on_the_attention_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = experiment_of("parallel", 2)
    long = experiment_of("parallel", 2, task__length=150, task__vocabulary=40)
    assert count_flops(long) < long.flops_per_step, "attention in blocks of queries skips most of the masked half"
    monkeypatch.setattr("lab.model.attention.LONGEST", 0)
    assert count_flops(experiment) == experiment.flops_per_step
    assert count_flops(long) == long.flops_per_step


@pytest.mark.parametrize(
    "change",
    [
        {"model__width": 32},
        {"task__length": 40},
        {"task__vocabulary": 33},
        {"batch_size": 3},
        {"model__layers": 5},
        {"model__inner_width": 20},
    ],
    ids=str,
)
def test_flops_grow_with_every_dimension(change: dict[str, int]) -> None:
    experiment = experiment_of("parallel", 2, **change)
    assert experiment.flops_per_step == count_flops(experiment)


@given(
    kind=st.sampled_from(list(KINDS)),
    n=st.integers(1, 9),
    width=st.sampled_from([4, 16, 36, 64]),
    layers=st.integers(1, 20),
    matched=st.sampled_from(["parameters", "layers", "none"]),
    mlp=st.sampled_from(["swiglu", "gelu"]),
    inner=st.none() | st.integers(1, 99),
)
@settings(max_examples=30, deadline=None)
def test_parameters_agree_with_the_built_network(
    kind: str, n: int, width: int, layers: int, matched: str, mlp: str, inner: int | None
) -> None:
    model = model_of(kind, width=width, layers=layers, matched=matched, mlp=mlp, inner_width=inner)
    if trunk_layers(model, n) < 1:
        with pytest.raises(LabError, match=r"leaves? no trunk"):
            experiment_of(kind, n, **{f"model__{name}": value for name, value in model.model_dump().items()})
        return
    network = build_on_meta(model, n)
    assert non_embedding_parameters(model, n) == network.non_embedding_parameters()
    assert len(network.trunk) == trunk_layers(model, n)


@given(
    kind=st.sampled_from(list(KINDS)),
    n=st.integers(1, 40),
    layers=st.integers(1, 12),
    half=st.integers(1, 8),
    matched=st.sampled_from(["parameters", "none"]),
    mlp=st.sampled_from(["swiglu", "gelu"]),
)
def test_the_trunk_comes_closest_to_equal_parameters(kind: str, n: int, layers: int, half: int, matched: str, mlp: str) -> None:
    model = model_of(kind, width=4 * half, layers=layers, matched=matched, mlp=mlp)
    heads = count_parameters(model, KINDS[kind].counts(n if matched == "parameters" else 1))
    layer = count_parameters(model, LAYER)
    best = min(range(layers + 1), key=lambda trunk: (abs(heads + (trunk - layers) * layer), trunk))
    assert trunk_layers(model, n) == best


def test_depths_and_parameters_agree_with_hand_counts() -> None:
    d, layers = 128, 20
    plain = non_embedding_parameters(model_of("parallel", width=d, layers=layers), 1)

    def depth_and_parameters(kind: str, n: int) -> tuple[int, int]:
        model = model_of(kind, width=d, layers=layers)
        return layers - trunk_layers(model, n), non_embedding_parameters(model, n) - plain

    for name, kind in KINDS.items():
        if kind.first == kind.further == LAYER:
            assert [depth_and_parameters(name, n) for n in (1, 2, 4, 8)] == [(1, 0), (2, 0), (4, 0), (8, 0)]
    assert [depth_and_parameters("linear", n) for n in (1, 4, 6)] == [(0, d**2), (0, 4 * d**2), (0, 6 * d**2)]
    assert [depth_and_parameters("linear", n)[0] for n in (6, 7, 18, 19)] == [0, 1, 1, 2]
    assert [depth_and_parameters("residual", n) for n in (1, 2, 4, 7)] == [(0, 0), (0, d**2), (0, 3 * d**2), (0, 6 * d**2)]
    assert [depth_and_parameters("residual", n)[0] for n in (7, 8, 19)] == [0, 1, 1]
    assert [depth_and_parameters("sequential", n) for n in (1, 2, 3)] == [(1, 0), (2, 2 * d**2 + 2 * d), (3, 4 * d**2 + 4 * d)]
    assert [depth_and_parameters("sequential", n)[0] for n in (3, 4, 9)] == [3, 5, 10]


@EVERY
@pytest.mark.parametrize("n", [1, 2, 4])
def test_at_equal_depth_the_path_has_all_layers(kind: str, n: int) -> None:
    assert build_on_meta(model_of(kind, matched="layers"), n).spec.path_layers == 8


@EVERY
def test_unmatched_heads_are_added_to_the_trunk_at_n_1(kind: str) -> None:
    model, alone = model_of(kind, matched="none"), model_of(kind)
    assert trunk_layers(model, 1) == trunk_layers(model, 3) == trunk_layers(alone, 1)
    assert non_embedding_parameters(model, 1) == non_embedding_parameters(alone, 1)
    paths = [NetworkSpec(model, 12, n).path_layers for n in (1, 3)]
    assert (paths[0] == paths[1]) != KINDS[kind].on_path


@pytest.mark.parametrize("head", [1, 3])
@EVERY
def test_the_tokens_that_a_head_reads_are_described(kind: str, head: int) -> None:
    ahead = KINDS[kind].teacher_forced and head == 3
    assert KINDS[kind].describe_inputs(head) == ("tokens up to t+2, teacher-forced" if ahead else "tokens up to t")


def test_counts_add_and_multiply() -> None:
    low_rank = ParameterCounts(square_matrices=Fraction(1, 2))
    assert LAYER + LAYER == LAYER * 2
    assert count_parameters(model_of("parallel"), (LAYER + low_rank) * 3) == 3 * (
        count_parameters(model_of("parallel"), LAYER) + 128
    )
    assert [(LAYER * 2 + ParameterCounts(mlps=1)).layers, ParameterCounts(mlps=3).layers] == [2, 0]


def test_a_head_smaller_than_a_layer_takes_no_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    small = HeadKind("module:Class", ParameterCounts(mlps=1), ParameterCounts(mlps=1))
    monkeypatch.setitem(KINDS, "small", small)
    model = model_of("small", matched="layers")
    assert (trunk_layers(model, 4), NetworkSpec(model, 12, 4).path_layers) == (8, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paralel", "must be one of parallel, linear, .*, or module:name of your own, not 'paralel'"),
        ("no_such_module:KIND", "'no_such_module:KIND' cannot be imported"),
        ("lab.config.kinds:LAYER", "'lab.config.kinds:LAYER' is not a lab.config.HeadKind"),
    ],
)
def test_an_unknown_kind_is_rejected(name: str, message: str) -> None:
    with pytest.raises(LabError, match=f"model.heads {message}"):
        find_kind(name)
    with pytest.raises(LabError, match=f"model.heads {message}"):
        tiny(model__heads=name)


def test_tables_list_every_kind() -> None:
    rows = [line.split(" | ") for line in head_table().splitlines()[2:]]
    assert [(row[0][2:], row[1]) for row in rows] == [(f"`{kind}`", n) for kind in KINDS for n in "124"]
    assert rows[0][2:] == ["7", "8", "1,583,232", "+0.00 %", "10,297,344 |"]
    assert len({line.count("|") for line in (head_table() + "\n" + kind_table()).splitlines()}) == 2
    assert [line.split("`")[1] for line in kind_table().splitlines()[2:]] == list(KINDS)
