"""Ranks of drafts, from which trees are derived."""

import pytest
import torch

from lab.decoding import Tree, calibration, complete, derive_tree, speculate
from lab.decoding.calibration import rank_drafts
from tests.helpers.networks import random_tokens, tiny_network


@pytest.mark.parametrize("at_once", [256, 1])
def test_ranks_agree_with_separate_passes(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "SEQUENCES_AT_ONCE", at_once)
    network = tiny_network("parallel", 3)
    done = complete(network, [random_tokens(1, 4)[0], random_tokens(1, 2)[0]], 4)
    expected = []
    for tokens, prompt in zip(done.sequences, done.prompts, strict=True):
        for position in range(prompt - 1, len(tokens) - 2):
            ranks = []
            for head in range(2, min(3, len(tokens) - 1 - position) + 1):
                with torch.no_grad():
                    order = network.logits(tokens[None, : position + 1], head)[0, -1].argsort(descending=True)
                ranks.append(order.tolist().index(int(tokens[position + head])))
            expected.append(tuple(ranks))
    assert rank_drafts(network, done) == expected


def test_sequences_shorter_than_the_heads_look_have_ranks() -> None:
    network = tiny_network("parallel", 7, model__matched="none")
    done = complete(network, random_tokens(2, 2), 3)
    assert [len(ranks) for ranks in rank_drafts(network, done)] == [2, 1] * 2


def test_a_derived_tree_accepts_more_than_a_chain() -> None:
    network, prompts = tiny_network("parallel", 3).double(), random_tokens(8, 4)
    tree = derive_tree(rank_drafts(network, complete(network, prompts, 30)), 8)
    chain, derived = (speculate(network, prompts, 30, each) for each in (Tree.chain(3), tree))
    assert derived.tokens_per_forward > chain.tokens_per_forward
