"""Grids of patches, compared with the hand-built network and with single patches."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.pairs import Pairs, align, draw_pairs
from lab.interp.patching import patch_grid, patch_position, patching
from lab.model import Network, build
from tasks.core.insight import Insight
from tests.helpers.induction_network import INDUCTION, PREVIOUS, induction_network
from tests.helpers.networks import VARIANTS_OF_HEADS, random_tokens, tiny_network
from tests.helpers.tiny import tiny

TASK = tasks.get("induction", vocabulary=12, period=(3, 5), length=16)
COORDINATES = ["component", "site", "attention_head", "position"]


def random_pairs(changed: list[int], answer: list[int], length: int = 10) -> Pairs:
    clean_CT, other_CT = random_tokens(len(changed), length, seed=3), random_tokens(len(changed), length, seed=4)
    index_C, changed_C, answer_C = torch.arange(len(changed)), torch.tensor(changed), torch.tensor(answer)
    corrupted_CT = clean_CT.clone()
    corrupted_CT[index_C, changed_C] = (clean_CT[index_C, changed_C] + 5) % 12
    roles_CT = np.full(clean_CT.shape, "word")
    return Pairs(clean_CT, corrupted_CT, changed_C, answer_C, clean_CT[index_C, answer_C], other_CT[index_C, 0] // 2, roles_CT)


def previous_token_pairs() -> Pairs:
    """Return pairs A B ... A -> B; the corrupted ones have another token for the first A, so that nothing points to B."""
    clean_CT = (torch.arange(12) % 6).repeat(3, 1)
    changed_C = torch.tensor([1, 2, 3])
    corrupted_CT = clean_CT.clone()
    corrupted_CT[torch.arange(3), changed_C] = torch.tensor([8, 9, 10])
    answer_C = changed_C + 7
    return Pairs(
        clean_CT, corrupted_CT, changed_C, answer_C, changed_C + 1, torch.full((3,), 11), np.full(clean_CT.shape, "word")
    )


def find_large(frame: pd.DataFrame, quantity: str, tolerance: float = 1e-3) -> set[tuple[Any, ...]]:
    """Return the coordinates of shares of about 1; all others must be about 0."""
    values = frame[frame["quantity"] == quantity].set_index(COORDINATES)["value"]
    assert ((values.abs() < tolerance) | ((values - 1).abs() < tolerance)).all()
    return set(values[values > 0.5].index)


def test_the_copied_token_goes_through_the_induction_head() -> None:
    frame = patching(induction_network(), TASK, sequences=16, window=2)
    expected = {
        ("residual", "embedding", -1, "changed"),
        ("residual", "trunk.0", -1, "changed"),
        ("residual", "trunk.1", -1, "answer-1"),
        ("residual", "prediction.1", -1, "answer-1"),
        ("attention", "trunk.1", -1, "answer-1"),
        ("attention head", "trunk.1", INDUCTION, "answer-1"),
    }
    assert find_large(frame, "restored") == expected
    assert find_large(frame, "removed") == expected
    assert dict(zip(frame["position"], frame["role"], strict=True)).items() >= {"changed": "new", "answer-1": "copy"}.items()


def test_the_token_before_goes_through_the_previous_token_head() -> None:
    frame = patch_grid(induction_network(), previous_token_pairs(), window=2)
    assert find_large(frame, "restored", 0.05) == {  # corrupted attention is uniform and finds the right token by chance
        ("residual", "embedding", -1, "changed"),
        ("attention", "trunk.0", -1, "changed+1"),
        ("attention head", "trunk.0", PREVIOUS, "changed+1"),
        ("residual", "trunk.0", -1, "changed+1"),
        ("attention", "trunk.1", -1, "answer-1"),
        ("attention head", "trunk.1", INDUCTION, "answer-1"),
        ("residual", "trunk.1", -1, "answer-1"),
        ("residual", "prediction.1", -1, "answer-1"),
    }


def difference(logits_CTV: torch.Tensor, pairs: Pairs, head: int) -> float:
    """Return the mean logit of the right answers minus that of the wrong ones."""
    at_CV = logits_CTV[torch.arange(len(logits_CTV)), pairs.answer_C - head]
    right, wrong = (at_CV.gather(1, each[:, None]) for each in (pairs.right_C, pairs.wrong_C))
    return float((right - wrong).mean())


@torch.no_grad()
def differences(network: Network, pairs: Pairs, head: int) -> tuple[float, float]:
    """Return the logit differences of the corrupted and of the clean run."""
    corrupted, clean = (network.logits(tokens, head) for tokens in (pairs.corrupted_CT, pairs.clean_CT))
    return difference(corrupted, pairs, head), difference(clean, pairs, head)


@torch.no_grad()
def naive_share(network: Network, pairs: Pairs, name: str, position_C: list[int], head: int) -> float:
    """Patch each pair at its position with `patch_position`; return the restored share."""
    both, numbers = (pairs.corrupted_CT, pairs.clean_CT), range(len(position_C))
    each = [patch_position(network, *both, name, position_C[number], head)[number] for number in numbers]
    corrupted, clean = differences(network, pairs, head)
    return (difference(torch.stack(each), pairs, head) - corrupted) / (clean - corrupted)


@pytest.mark.parametrize(("kind", "layer", "head"), [each for each in VARIANTS_OF_HEADS if not KINDS[each[0]].teacher_forced])
def test_a_grid_agrees_with_single_patches(kind: str, layer: int | None, head: int) -> None:
    network = tiny_network(kind, 2, model__layers=4 if layer is None else 5, model__head_layer=layer and 2)
    pairs = random_pairs([1, 2, 0], [6, 9, 8])
    corrupted, clean = differences(network, pairs, head)
    if clean < corrupted:  # the random network prefers the other answer: exchange the answers
        pairs = pairs._replace(right_C=pairs.wrong_C, wrong_C=pairs.right_C)
    rows = patch_grid(network, pairs, head, window=2)
    found = rows[rows["quantity"] == "restored"].set_index(COORDINATES)["value"]
    for component, name in {
        ("residual", "embedding"): "embedding",
        ("residual", "trunk.0"): "trunk.0.residual",
        ("attention", "trunk.1"): "trunk.1.attention",
        ("mlp", "trunk.0"): "trunk.0.mlp",
    }.items():
        for position, where_C in {"changed": [1, 2, 0], f"answer-{head + 1}": [5 - head, 8 - head, 7 - head]}.items():
            expected = naive_share(network, pairs, name, where_C, head)
            assert found[(*component, -1, position)] == pytest.approx(expected, rel=1e-3, abs=1e-4)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_every_patched_position_has_one_name(data: st.DataObject) -> None:
    head, window = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 4))
    spans = st.integers(0, 6).flatmap(lambda changed: st.tuples(st.just(changed), st.integers(changed + head, 11)))
    changed, answer = zip(*data.draw(st.lists(spans, min_size=1, max_size=4)), strict=True)
    names = align(random_pairs(list(changed), list(answer), 12), head, window)
    count_CT = torch.stack(list(names.values())).long().sum(0)
    for index, (first, last) in enumerate(zip(changed, answer, strict=True)):
        assert count_CT[index].tolist() == [int(first <= position <= last - head) for position in range(12)]
    for name, where_CT in names.items():
        assert name == "between" or (where_CT.sum(1) <= 1).all()


@pytest.mark.parametrize("name", [name for name in tasks.names() if tasks.find(name).contrast is not Insight.contrast])
def test_pairs_differ_in_one_position_before_the_answer(name: str) -> None:
    experiment = tiny(name)
    pairs = draw_pairs(build(experiment), experiment.task, 32, "validation", 0)
    position_T = torch.arange(pairs.clean_CT.shape[1])
    differs_CT = (pairs.clean_CT != pairs.corrupted_CT) & (position_T < pairs.answer_C[:, None])
    assert torch.equal(differs_CT, position_T == pairs.changed_C[:, None])
    assert (pairs.right_C != pairs.wrong_C).all()
    assert torch.equal(pairs.clean_CT.gather(1, pairs.answer_C[:, None])[:, 0], pairs.right_C)
    assert torch.equal(pairs.corrupted_CT.gather(1, pairs.answer_C[:, None])[:, 0], pairs.wrong_C)


def test_the_answer_is_hidden_from_a_teacherless_network() -> None:
    experiment = tiny("star", n_future=1, objective__teacherless=True)
    pairs = draw_pairs(build(experiment), experiment.task, 8, "validation", 0)
    for tokens_CT in (pairs.clean_CT, pairs.corrupted_CT):
        assert (tokens_CT.gather(1, pairs.answer_C[:, None]) == experiment.task.vocab_size).all()


def test_impossible_patches_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    network, forced = tiny_network(n_future=3), next(name for name, kind in KINDS.items() if kind.teacher_forced)
    for options, message in (
        ({"head": 4}, "head must be between 1 and n_future = 3, not 4"),
        ({"window": -1}, "window must be at least 0, not -1"),
    ):
        with pytest.raises(LabError, match=message):
            patching(network, TASK, sequences=4, **options)
    with pytest.raises(LabError, match="prediction head 2 is teacher-forced"):
        patching(tiny_network(forced), TASK, head=2, sequences=4)
    with pytest.raises(LabError, match="prediction head 3 predicts the answer of induction before it reads"):
        patching(network, tasks.get("induction", vocabulary=12, period=(2, 2), length=12), head=3, sequences=4)
    monkeypatch.setattr(type(TASK), "contrast", Insight.contrast)
    with pytest.raises(LabError, match="induction has no contrasts"):
        patching(network, TASK, sequences=4)
