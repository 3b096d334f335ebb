"""Ablation, compared with the hand-built network, with networks of zeroed weights, and with edits by hand."""

import copy
import math
from typing import Any

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

import tasks
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.ablation import (
    HOW,
    Component,
    Targets,
    ablated,
    ablation,
    clean_states,
    components,
    measure_effects,
    select_and_test,
)
from lab.model import Network, edited
from tasks.errors import TaskError
from tests.helpers.induction_network import INDUCTION, PREVIOUS, induction_network
from tests.helpers.networks import VARIANTS_OF_HEADS, random_tokens, tiny_network

TASK = tasks.get("induction", vocabulary=12, period=(2, 5), length=20)
WHERE = ["component", "site", "attention_head"]
CIRCUIT = {
    1: {("trunk.0", PREVIOUS), ("trunk.1", INDUCTION)},
    2: {("trunk.0", PREVIOUS), ("trunk.1", INDUCTION), ("prediction.2", 0)},
}
TOKENS = random_tokens(4)


def values(network: Network, **options: Any) -> pd.Series:
    frame = ablation(network, TASK, **{"sequences": 32} | options)
    return frame.set_index([*WHERE, "quantity"])["value"].sort_index()


def targets_of(head: int) -> Targets:
    selected_BT = torch.zeros_like(TOKENS, dtype=torch.bool)
    selected_BT[:, 2:-head] = True
    return Targets(head, selected_BT, TOKENS.roll(-head, 1)[selected_BT])


@torch.no_grad()
def scores(network: Network, targets: Targets) -> tuple[float, float]:
    """Compute accuracy and loss in a full pass."""
    logits_RV = network.logits(TOKENS, targets.head)[targets.positions_BT]
    hits = (logits_RV.argmax(-1) == targets.tokens_R).double().mean()
    return float(hits), float(F.cross_entropy(logits_RV.double(), targets.tokens_R))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("head", [1, 2])
def test_ablation_finds_the_circuit_and_nothing_else(how: str, head: int) -> None:
    frame = ablation(induction_network(n_future=2), TASK, how=how, head=head, sequences=32)
    added = frame[frame["quantity"] == "loss added"].set_index(WHERE)["value"]
    heads = added["attention head"]
    assert set(heads[heads > 1].index) == CIRCUIT[head]
    assert (heads[heads <= 1] == 0).all()
    assert (added["mlp"] == 0).all()
    sites = {site for site, _ in CIRCUIT[head]}
    for kind in ("attention", "layer"):
        assert {site for (site, _), value in added[kind].items() if value} == sites


def test_without_the_induction_head_the_loss_is_at_chance() -> None:
    found = values(induction_network())
    for component in (
        ("attention head", "trunk.1", INDUCTION),
        ("layer", "trunk.1", -1),
        ("prediction head", "prediction.1", -1),
    ):
        assert found[(*component, "loss")] == pytest.approx(math.log(12))
        assert found[(*component, "loss added")] == found[(*component, "loss")] - found["none", "", -1, "loss"]
        assert found[(*component, "accuracy lost")] == found["none", "", -1, "accuracy"] - found[(*component, "accuracy")]


@pytest.mark.parametrize(("kind", "layer", "head"), VARIANTS_OF_HEADS)
def test_zero_ablation_equals_a_network_with_zero_weights(kind: str, layer: int | None, head: int) -> None:
    network, targets = tiny_network(kind, 2, model__layers=4, model__head_layer=layer), targets_of(head)
    table = measure_effects(network, TOKENS, targets).set_index(WHERE)
    assert tuple(table.loc["none", "", -1]) == pytest.approx(scores(network, targets))
    width = network.spec.model.width // network.spec.model.n_heads
    modules = {getattr(module, "name", ""): name for name, module in network.named_modules()}
    removable = [each for each in components(network, head) if each.kind != "prediction head"]
    assert [(each.kind, each.site, each.attention_head) for each in removable] == [
        index for index in table.index if index[0] not in ("none", "prediction head")
    ]
    for component in removable:
        without = copy.deepcopy(network)
        block = without.get_submodule(modules[component.site])
        first = max(0, component.attention_head) * width
        with torch.no_grad():
            if component.kind != "mlp":
                block.attention.out.weight[:, first : first + width if component.attention_head >= 0 else None] = 0
            if component.kind in ("mlp", "layer"):
                block.mlp.down.weight.zero_()
        expected = scores(without, targets)
        assert tuple(table.loc[component.kind, component.site, component.attention_head]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["trunk.1.mlp", "trunk.2.attention", "prediction.1.residual"])
def test_mean_and_resample_ablation_equal_edits_by_hand(name: str) -> None:
    network, targets = tiny_network(), targets_of(1)
    site, _, what = name.rpartition(".")
    kind = what.replace("residual", "prediction head")
    for how, edit in {
        "mean": lambda each: each.mean((0, 1)).expand_as(each),
        "resample": lambda each: each[[3, 0, 1, 2]],
    }.items():
        table = measure_effects(network, TOKENS, targets, how).set_index(WHERE)
        with edited(network, {name: edit}):
            assert tuple(table.loc[kind, site, -1]) == pytest.approx(scores(network, targets), rel=1e-5)


def test_components_are_ablated_together() -> None:
    network = tiny_network()
    clean = clean_states(network, TOKENS)
    both = [Component("attention head", "trunk.1", 0), Component("attention head", "trunk.1", 1)]
    with ablated(network, clean, both):
        both_ablated = network.logits(TOKENS)
    with ablated(network, clean, [Component("attention", "trunk.1")]):
        torch.testing.assert_close(network.logits(TOKENS), both_ablated)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_head_depends_on_each_of_its_components(kind: str) -> None:
    network = tiny_network(kind, 2, model__layers=4)
    for head in (1, 2):
        plain, clean = network.logits(TOKENS, head), clean_states(network, TOKENS, head)
        for component in components(network, head):
            with ablated(network, clean, [component]):
                assert not torch.equal(network.logits(TOKENS, head), plain), component


def test_a_choice_on_one_split_is_tested_on_another() -> None:
    columns = [*WHERE, "accuracy", "loss"]
    kinds = [("none", "", -1), *(("attention head", site, head) for site in ("trunk.0", "trunk.1") for head in range(3))]
    rows = [*kinds, ("mlp", "trunk.0", -1), ("mlp", "trunk.1", -1), ("prediction head", "prediction.1", -1)]
    selection = pd.DataFrame(
        [(*row, 0.0, loss) for row, loss in zip(rows, [9, 1, 2, 3, 1, 8, 1, 5, 4, 7], strict=True)], columns=columns
    )
    test = pd.DataFrame([(*row, loss / 100, loss) for row, loss in zip(rows, range(10), strict=True)], columns=columns)
    found = select_and_test(selection, test).set_index(WHERE)
    assert found.index.get_level_values(1).to_list() == ["chosen", "others"] * 2
    assert found["loss"].to_list() == [5, (4 + 6) / 2, 7, 8]
    assert found["accuracy"].to_list() == pytest.approx([0.05, 0.05, 0.07, 0.08])


def test_the_frame_has_the_chosen_component_and_the_others() -> None:
    network = induction_network()
    found = values(network, split="test", chosen_on="validation")
    assert found["attention head", "chosen", -1, "loss"] == found["attention head", "trunk.1", INDUCTION, "loss"]
    assert found["attention head", "others", -1, "loss added"] == 0


def test_components_are_chosen_on_the_other_split(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = induction_network(), []

    def record(selection: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
        seen.append((sorted(selection["loss"]), sorted(test["loss"])))
        return select_and_test(selection, test)

    monkeypatch.setattr("lab.interp.ablation.select_and_test", record)
    values(network, role="all", split="test", chosen_on="validation", sequences=4)
    alone = [
        sorted(values(network, role="all", split=split, sequences=4).xs("loss", level=-1)) for split in ("validation", "test")
    ]
    assert alone[0] != alone[1]
    assert seen == [(alone[0], alone[1])]


def test_a_role_selects_the_targets() -> None:
    network = induction_network()
    roles = ("", "copy", "all", "new")
    whole = {role: values(network, role=role, sequences=4)["none", "", -1, "accuracy"] for role in roles}
    assert whole[""] == whole["copy"] == 1
    assert whole["new"] < whole["all"] < 1


def test_bad_options_are_rejected() -> None:
    network = tiny_network()
    for options, message in (
        ({"how": "noise"}, "how must be one of zero, mean, resample, not 'noise'"),
        ({"how": "resample", "sequences": 1}, "sequences must be at least 2 to resample"),
        ({"head": 4}, "head must be between 1 and n_future = 3, not 4"),
        ({"chosen_on": "validation"}, "chosen_on must be another split than validation"),
        ({"head": 0}, "head must be between 1 and n_future = 3, not 0"),
    ):
        with pytest.raises(LabError, match=message):
            ablation(network, TASK, **{"sequences": 4} | options)
    with pytest.raises(TaskError, match="no role 'copied'"):
        ablation(network, TASK, role="copied", sequences=4)
