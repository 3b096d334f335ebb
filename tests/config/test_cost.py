"""Parameters, depth and FLOPs in closed form, against built networks and torch's own counter."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

import lab
from lab.config import Experiment, ModelSettings
from lab.config.cost import block_parameters, trunk_layers
from lab.config.kinds import KINDS, Blocks
from lab.errors import LabError
from lab.model import Network, build
from lab.objectives import IGNORE, future_targets, summed

EVERY = pytest.mark.parametrize("kind", KINDS)
aten = torch.ops.aten


def attention_backward(*shapes: Any, **_: Any) -> int:
    """Of the five products in torch's kernel one forms the scores again, which is its own affair."""
    return sdpa_backward_flop_count(*shapes[:4]) * 4 // 5


COUNTED_TOO = {
    aten.addmm_: lambda total, left, right, **_: 2 * left[0] * left[1] * right[1],
    aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
}
"""Products that torch's counter knows under other names."""


def tiny(kind: str, n_future: int, **more: object) -> Experiment:
    chosen = {
        "model.width": 16, "model.layers": 8, "model.n_heads": 2, "model.heads": kind, "batch_size": 2,
        "task.vocabulary": 20, "task.length": 24, "task.period": [3, 8], "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", {**chosen, **more}, n_future=n_future)


def on_meta(experiment: Experiment) -> Network:
    with torch.device("meta"):
        return Network(experiment)


def counted_flops(experiment: Experiment) -> int:
    """What torch's counter counts in one training step."""
    network, task = build(experiment), experiment.task
    tokens_BT = torch.randint(task.vocab_size, (experiment.batch_size, task.length))
    targets_NBT = future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), experiment.n_future)
    with FlopCounterMode(display=False, custom_mapping=COUNTED_TOO) as counter:
        counts_N = (targets_NBT != IGNORE).sum((1, 2))
        summed(network(tokens_BT), network.unembedding.matrices, targets_NBT, counts_N).total.backward()
    return int(counter.get_total_flops())


@EVERY
@pytest.mark.parametrize("matched", ["parameters", "layers", "none"])
@pytest.mark.parametrize("n_future", [1, 2, 4])
def test_flops_are_those_that_torch_counts(kind: str, matched: str, n_future: int) -> None:
    experiment = tiny(kind, n_future, **{"model.matched": matched, "model.mlp": "gelu" if n_future == 2 else "swiglu"})
    assert experiment.flops_per_step == counted_flops(experiment)


def test_flops_are_the_same_whatever_kernel_attends(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, long = tiny("parallel", 2), tiny("parallel", 2, **{"task.length": 150})
    assert counted_flops(long) < long.flops_per_step, "blocks of queries leave out most of the masked half"
    monkeypatch.setattr("lab.model.attention.LONGEST", 0)
    assert counted_flops(experiment) == experiment.flops_per_step
    assert counted_flops(long) == long.flops_per_step


def test_flops_grow_with_every_dimension_as_torch_counts_them() -> None:
    for changed in ({"model.width": 32}, {"task.length": 40}, {"task.vocabulary": 33}, {"batch_size": 3}, {"model.layers": 5}):
        experiment = tiny("parallel", 2, **changed)
        assert experiment.flops_per_step == counted_flops(experiment)


@given(
    st.sampled_from(list(KINDS)), st.integers(1, 9), st.sampled_from([4, 16, 36, 64]), st.integers(1, 20),
    st.sampled_from(["parameters", "layers", "none"]), st.sampled_from(["swiglu", "gelu"]),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_parameters_are_those_of_the_network(kind: str, n: int, width: int, layers: int, matched: str, mlp: str) -> None:
    shape: dict[str, Any] = {"width": width, "layers": layers, "matched": matched, "mlp": mlp}
    if trunk_layers(ModelSettings(n_heads=2, heads=kind, **shape), n) < 1:
        with pytest.raises(LabError, match=r"leaves? no trunk"):
            tiny(kind, n, **{f"model.{name}": value for name, value in shape.items()})
        return
    experiment = tiny(kind, n, **{f"model.{name}": value for name, value in shape.items()})
    network = on_meta(experiment)
    assert experiment.non_embedding_parameters == network.non_embedding_parameters()
    assert len(network.trunk) == experiment.trunk_layers >= 1


@given(
    st.sampled_from(list(KINDS)), st.integers(1, 40), st.integers(1, 12), st.integers(1, 8),
    st.sampled_from(["parameters", "none"]), st.sampled_from(["swiglu", "gelu"]),
)  # fmt: skip
def test_the_trunk_is_the_best_of_all(kind: str, n: int, layers: int, half: int, matched: Any, mlp: Any) -> None:
    model = ModelSettings(width=4 * half, layers=layers, n_heads=2, heads=kind, matched=matched, mlp=mlp)
    heads = block_parameters(model, KINDS[kind].blocks(n if matched == "parameters" else 1))
    layer = block_parameters(model, Blocks(layers=1))
    best = min(range(layers + 1), key=lambda trunk: (abs(heads + (trunk - layers) * layer), trunk))
    assert trunk_layers(model, n) == best


@EVERY
@pytest.mark.parametrize("width", [64, 128, 256])
def test_the_trunk_is_the_one_that_comes_closest_to_equal_parameters(kind: str, width: int) -> None:
    for n, layers in itertools.product((1, 2, 3, 4, 7, 8), (10, 12)):
        experiment = tiny(kind, n, **{"model.width": width, "model.layers": layers})
        plain = tiny("parallel", 1, **{"model.width": width, "model.layers": layers}).non_embedding_parameters
        layer = block_parameters(experiment.model, Blocks(layers=1))
        differences = [abs(experiment.non_embedding_parameters + change * layer - plain) for change in (-1, 0, 1)]
        assert min(differences) == differences[1] <= layer / 2


def test_the_depths_and_counts_that_the_classes_state() -> None:
    d, layers = 128, 20
    plain = tiny("parallel", 1, **{"model.width": d, "model.layers": layers}).non_embedding_parameters

    def at(kind: str, n: int) -> tuple[int, int]:
        experiment = tiny(kind, n, **{"model.width": d, "model.layers": layers})
        return layers - experiment.trunk_layers, experiment.non_embedding_parameters - plain

    for kind in ("parallel", "replicated", "causal", "anticausal"):
        assert [at(kind, n) for n in (1, 2, 4, 8)] == [(1, 0), (2, 0), (4, 0), (8, 0)]
    assert [at("linear", n) for n in (1, 4, 6)] == [(0, d**2), (0, 4 * d**2), (0, 6 * d**2)]
    assert [at("linear", n)[0] for n in (6, 7, 18, 19)] == [0, 1, 1, 2]
    assert [at("residual", n) for n in (1, 2, 4, 7)] == [(0, 0), (0, d**2), (0, 3 * d**2), (0, 6 * d**2)]
    assert [at("residual", n)[0] for n in (7, 8, 19)] == [0, 1, 1]
    assert [at("sequential", n) for n in (1, 2, 3)] == [(1, 0), (2, 2 * d**2 + 2 * d), (3, 4 * d**2 + 4 * d)]
    assert [at("sequential", n)[0] for n in (3, 4, 9)] == [3, 5, 10]


@EVERY
def test_at_equal_depth_the_next_token_path_has_all_layers(kind: str) -> None:
    for n in (1, 2, 4):
        assert on_meta(tiny(kind, n, **{"model.matched": "layers"})).path_layers == 8


@EVERY
def test_unmatched_heads_come_on_top_of_one(kind: str) -> None:
    one, three = (on_meta(tiny(kind, n, **{"model.matched": "none"})) for n in (1, 3))
    assert len(one.trunk) == len(three.trunk) == tiny(kind, 1).trunk_layers
    assert one.non_embedding_parameters() == tiny(kind, 1).non_embedding_parameters
    if kind != "anticausal":
        assert three.path_layers == one.path_layers


@pytest.mark.parametrize(
    ("kind", "head", "seen"),
    [
        ("parallel", 3, "tokens up to t"),
        ("sequential", 1, "tokens up to t"),
        ("sequential", 3, "tokens up to t+2, teacher-forced"),
    ],
)
def test_what_a_head_sees_is_said_in_words(kind: str, head: int, seen: str) -> None:
    assert KINDS[kind].sees(head) == seen


def test_the_table_in_the_documentation_is_what_the_formulas_give() -> None:
    text = (Path(__file__).parents[2] / "docs" / "heads.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \| ([+-][\d.]+) % \| ([\d,]+) \|$", text, re.MULTILINE
    )
    assert [(kind, n) for kind, n, *_ in shown] == [(kind, n) for kind in KINDS for n in ("1", "2", "4")]
    for kind, n, *numbers in shown:
        shape = {"model.width": 128, "model.layers": 8, "model.n_heads": 4}
        experiment, plain = (
            lab.experiment("induction", {**shape, "model.heads": each}, n_future=heads)
            for each, heads in ((kind, int(n)), ("parallel", 1))
        )
        network, ratio = on_meta(experiment), experiment.non_embedding_parameters / plain.non_embedding_parameters
        per_token = experiment.flops_per_step // experiment.positions_per_step
        found = (
            len(network.trunk),
            network.path_layers,
            f"{network.non_embedding_parameters():,}",
            f"{100 * (ratio - 1):+.2f}",
        )
        assert numbers == [*map(str, found), f"{per_token:,}"]


@EVERY
def test_equal_depth_and_heads_on_top_are_the_same_network_but_for_anticausal(kind: str) -> None:
    for n in (2, 4):
        layers, none = (tiny(kind, n, **{"model.matched": matched}).trunk_layers for matched in ("layers", "none"))
        assert (layers == none) == (kind != "anticausal")
