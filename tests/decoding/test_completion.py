"""Completion by head 1 alone, of networks whose logits are written by hand and of random ones."""

import math

import pytest
import torch
from torch import Tensor

import lab
from lab.config.kinds import KINDS
from lab.decoding import Sampling, complete, completion
from lab.model import Network, edited
from tests.helpers.networks import V, random_tokens, tiny_network
from tests.helpers.tables import NEVER, table_network

RING = table_network([[NEVER, 0.0, NEVER], [NEVER, NEVER, 0.0], [0.0, NEVER, NEVER]])
"""A network that continues 0, 1, 2, 0, 1, 2, ... with certainty."""
EVEN = table_network([[0.0, 0.0, 0.0]] * 3)


def complete_without_cache(network: Network, prompt: Tensor, new_tokens: int) -> Tensor:
    """Complete one prompt without a cache."""
    for _ in range(new_tokens):
        prompt = torch.cat([prompt, network.next_logits(prompt[None])[0].argmax()[None]])
    return prompt


def test_greedy_and_sampled_tokens_follow_certain_logits() -> None:
    prompts, expected = [[2, 0], [0, 1]], [[2, 0, 1, 2, 0], [0, 1, 2, 0, 1]]
    assert complete(RING, prompts, 3).tokens_BT.tolist() == expected
    assert complete(RING, prompts, 3, sampling=Sampling()).tokens_BT.tolist() == expected


def test_zero_new_tokens_give_the_prompt() -> None:
    done = complete(RING, [[2, 0], [1]], 0)
    assert [tokens.tolist() for tokens in done.sequences] == [[2, 0], [1]]
    assert done.forwards == (0, 0)
    assert math.isnan(done.tokens_per_forward)


def test_greedy_takes_the_smallest_id_among_equals() -> None:
    assert complete(table_network([[0.0, 1.0, 1.0]] * 3), [[0]], 1).tokens_BT.tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_ragged_batch_equals_a_loop_over_its_sequences(kind: str) -> None:
    network, prompts = tiny_network(kind).double(), [random_tokens(1, length)[0] for length in (1, 5, 3, 5)]
    done = complete(network, prompts, 8)
    for prompt, tokens in zip(prompts, done.sequences, strict=True):
        assert torch.equal(tokens, complete_without_cache(network, prompt, 8))
    assert done.tokens_per_forward == 1
    assert done.prompts == (1, 5, 3, 5)
    assert done.lengths == (9, 13, 11, 13)


@torch.no_grad()
def test_each_token_is_read_once() -> None:
    network, lengths = tiny_network(), []
    network.embedding.register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1]))
    complete(network, random_tokens(2, 4), 5)
    assert lengths == [4, 1, 1, 1, 1]


def test_a_sequence_ends_with_the_stop_token() -> None:
    done = complete(RING, [[0], [1], [2, 0, 1, 2, 0]], 4, stop=2)
    assert [tokens.tolist() for tokens in done.sequences] == [[0, 1, 2], [1, 2], [2, 0, 1, 2, 0, 1, 2]]
    assert done.forwards == (2, 1, 2)
    assert done.tokens_BT.tolist()[1] == [1, 2, 0, 0, 0, 0, 0], "padded with zeros"


def test_samples_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[0]] * 25 + [[1, 0]] * 25
    whole = complete(EVEN, prompts, 5, sampling=Sampling(seed=3)).tokens_BT
    monkeypatch.setattr(completion, "SEQUENCES_AT_ONCE", 7)
    assert torch.equal(complete(EVEN, prompts, 5, sampling=Sampling(seed=3)).tokens_BT, whole)
    assert not torch.equal(complete(EVEN, prompts, 5, sampling=Sampling(seed=4)).tokens_BT, whole)


def test_forced_tokens_leave_other_draws_unchanged() -> None:
    def forced(prefix_BT: Tensor) -> Tensor:
        choices = torch.full((len(prefix_BT),), completion.FREE)
        if prefix_BT.shape[1] == 2:
            choices[::2] = 2
        return choices

    prompts = [[0]] * 20
    free, partly = (complete(EVEN, prompts, 3, sampling=Sampling(), forced=rule).tokens_BT for rule in (None, forced))
    assert (partly[::2, 2] == 2).all()
    free[::2, 2] = 2
    assert torch.equal(free, partly), "the free tokens come from the same draws"
    assert complete(RING, [[0], [0]], 3, forced=forced).tokens_BT.tolist() == [[0, 1, 2, 0], [0, 1, 2, 0]]


def test_forced_tokens_alone_need_no_forward_pass() -> None:
    done = complete(EVEN, [[0]] * 3, 3, forced=lambda prefix: torch.ones(len(prefix), dtype=torch.int64))
    assert done.tokens_BT.tolist() == [[0, 1, 1, 1]] * 3
    assert done.forwards == (0, 0, 0)


@torch.no_grad()
def test_forced_tokens_are_read_in_one_later_pass() -> None:
    network, prompt_BP = tiny_network().double(), random_tokens(2, 4)

    def forced(prefix_BT: Tensor) -> Tensor:
        return torch.full((2,), 5 if prefix_BT.shape[1] < 7 else completion.FREE)

    longer_BP = torch.cat([prompt_BP, torch.full((2, 3), 5)], dim=1)
    assert torch.equal(complete(network, prompt_BP, 7, forced=forced).tokens_BT, complete(network, longer_BP, 4).tokens_BT)


@torch.no_grad()
def test_edits_apply_while_completing() -> None:
    network, prompt_BP = tiny_network().double(), random_tokens(2, 4)
    before = complete(network, prompt_BP, 6).tokens_BT
    with edited(network, {"trunk.0.mlp": torch.zeros_like, "embedding": lambda embedded_BTD: -embedded_BTD}):
        inside = complete(network, prompt_BP, 6).tokens_BT
        assert torch.equal(inside[1], complete_without_cache(network, prompt_BP[1], 6))
    assert not torch.equal(inside, before)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "prompts must hold at least one prompt"),
        ([[0], []], r"prompts must each be a list of at least one token; prompt 1 has shape \(0,\)"),
        ([[0], [1, V]], f"prompts must hold tokens between 0 and {V - 1}; prompt 1 has {V}"),
        ([[-1]], f"prompts must hold tokens between 0 and {V - 1}; prompt 0 has -1"),
    ],
)
def test_wrong_prompts_are_rejected(prompts: list[list[int]], message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        complete(tiny_network(), prompts, 3)


def test_wrong_calls_are_rejected() -> None:
    with pytest.raises(lab.LabError, match="new_tokens must be at least 0, not -1"):
        complete(EVEN, [[0]], -1)
    with pytest.raises(lab.LabError, match="forced must be None with prompts of different lengths"):
        complete(EVEN, [[0], [0, 1]], 2, forced=lambda prefix: prefix[:, 0])
