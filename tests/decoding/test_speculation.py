"""Self-speculative decoding gives the output of head 1 alone, whatever the drafts are."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import lab
from lab.config.kinds import KINDS
from lab.decoding import Completion, Sampling, Tree, complete, speculate, speculation
from tests.helpers.networks import VARIANTS, V, random_tokens, tiny_network
from tests.helpers.speculation import BUSH, NEW, N, prompts_of
from tests.helpers.tables import NEVER, table_network

RING = [[NEVER, 0.0, NEVER], [NEVER, NEVER, 0.0], [0.0, NEVER, NEVER]]
TWO_AHEAD = [[NEVER, NEVER, 0.0], [0.0, NEVER, NEVER], [NEVER, 0.0, NEVER]]
THREE_AHEAD = [[0.0, NEVER, NEVER], [NEVER, 0.0, NEVER], [NEVER, NEVER, 0.0]]
GOOD = table_network(RING, TWO_AHEAD, THREE_AHEAD)
BAD = table_network(RING, THREE_AHEAD, TWO_AHEAD)


def assert_equal(found: Completion, expected: Completion) -> None:
    assert found.lengths == expected.lengths
    assert torch.equal(found.tokens_BT, expected.tokens_BT)


@pytest.mark.parametrize("tree", [Tree.chain(2), Tree.chain(N), BUSH], ids=["two", "chain", "bush"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_output_equals_that_of_head_1(kind: str, tree: Tree) -> None:
    network, prompts = tiny_network(kind, N, seed=3).double(), prompts_of()
    new = 20  # within which some sequences of each kind accept more than others
    found = speculate(network, prompts, new, tree)
    assert_equal(found, complete(network, prompts, new))
    assert 0 < int(found.drafts.accepted.sum()) < int(found.drafts.drafted.sum()), "some drafts are accepted and some rejected"
    assert len(set(found.forwards)) > 1, "sequences accept different lengths"


@pytest.mark.parametrize(("kind", "layer"), [each for each in VARIANTS if each[1] is None or not KINDS[each[0]].attends(2)])
def test_a_useless_node_does_not_change_the_drafts(kind: str, layer: int | None) -> None:
    """The least probable token is a node between those of a chain, which are accepted as without it."""
    network, prompts = tiny_network(kind, N, seed=3, model__head_layer=layer).double(), prompts_of()
    found = speculate(network, prompts, NEW, Tree(((0,), (0, V - 1), (0, 0))))
    expected = speculate(network, prompts, NEW, Tree.chain(N))
    assert_equal(found, expected)
    for own, other in zip(found.drafts, expected.drafts, strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("scale", [0.0, 1.0])
@pytest.mark.parametrize(
    "kind", [name for name, kind in KINDS.items() if not kind.on_path and kind.counts(2) != kind.counts(1)]
)
def test_weights_of_further_heads_do_not_change_the_output(kind: str, scale: float) -> None:
    network, prompts = tiny_network(kind, N).double(), prompts_of()
    weights = list(network.heads.parameters())
    of_head_1 = torch.autograd.grad(network.logits(random_tokens()).sum(), weights, allow_unused=True)
    further = [weight for weight, gradient in zip(weights, of_head_1, strict=True) if gradient is None]
    assert further
    with torch.no_grad():
        for weight in further:
            weight.copy_(scale * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    assert_equal(speculate(network, prompts, NEW, BUSH), complete(network, prompts, NEW))


@pytest.mark.parametrize("kind", KINDS)
def test_passes_without_a_workspace_give_the_same_output(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, prompts = tiny_network(kind, N, seed=3).double(), prompts_of()
    expected = speculate(network, prompts, NEW, BUSH)
    monkeypatch.setattr("lab.model.network.WORKSPACE_TOKENS", 0)
    found = speculate(network, prompts, NEW, BUSH)
    assert_equal(found, expected)
    assert found.forwards == expected.forwards


def test_results_are_plain_tensors() -> None:
    for done in (complete(GOOD, [[0]], 3), speculate(GOOD, [[0]], 3, Tree.chain(2))):
        assert not done.tokens_BT.is_inference()
        assert not any(column.is_inference() for column in done.drafts)


@given(st.integers(0, 1 << 20), st.sampled_from(VARIANTS))
@settings(deadline=None, max_examples=20)
def test_no_tree_changes_the_output(seed: int, variant: tuple[str, int | None]) -> None:
    generator, paths = torch.Generator().manual_seed(seed), [(rank,) for rank in range(3)]
    paths += [(a, b) for a, b in product(range(3), range(2)) if torch.rand((), generator=generator) < 0.5]
    kind, layer = variant
    network, prompts = tiny_network(kind, N, model__head_layer=layer).double(), prompts_of((4, 2))
    assert_equal(speculate(network, prompts, NEW, Tree(tuple(paths))), complete(network, prompts, NEW))


def test_every_draft_of_good_heads_is_accepted() -> None:
    found = speculate(GOOD, [[0], [1, 2]], 10, Tree.chain(3))
    assert [tokens.tolist() for tokens in found.sequences] == [[0, *[1, 2, 0] * 3, 1], [1, 2, *[0, 1, 2] * 3, 0]]
    assert found.forwards == (4, 4), "1 + 3 + 3 + 3"
    assert found.tokens_per_forward == 2.5
    assert found.mean_acceptance_length == 3
    assert found.acceptance(1) == found.acceptance(2) == found.acceptance_given_reached(2) == 1


@pytest.mark.parametrize("new_tokens", [2, 9, 11])
def test_a_pass_at_the_end_gives_the_tokens_that_were_left(new_tokens: int) -> None:
    found = speculate(GOOD, [[0], [1, 2]], new_tokens, Tree.chain(3))
    passes = sum(found.forwards) - 2
    assert found.mean_acceptance_length == pytest.approx((found.new_tokens - 2) / passes), "head 1 adds none beyond the end"


def test_no_draft_of_bad_heads_is_accepted() -> None:
    found = speculate(BAD, [[0], [1, 2]], 10, Tree.chain(3))
    assert_equal(found, complete(BAD, [[0], [1, 2]], 10))
    assert found.tokens_per_forward == found.mean_acceptance_length == 1
    assert found.acceptance(1) == found.acceptance(2) == 0
    assert np.isnan(found.acceptance_given_reached(2)), "no second draft was reached"


def test_drafts_past_the_end_are_not_counted() -> None:
    found = speculate(GOOD, [[0]], 6, Tree.chain(3))
    assert found.forwards == (3,)
    assert found.drafts.position.tolist() == [2, 5]
    assert found.drafts.drafted.tolist() == found.drafts.accepted.tolist() == [2, 2]
    found = speculate(GOOD, [[0]], 5, Tree.chain(3))
    assert found.drafts.drafted.tolist() == found.drafts.accepted.tolist() == [2, 1]
    assert found.is_draft().tolist() == [[False, False, True, True, False, True]]


@pytest.mark.parametrize("stop", [0, 1, 2])
@pytest.mark.parametrize("tree", [Tree.chain(3), BUSH], ids=["chain", "bush"])
def test_a_stop_token_ends_a_sequence_within_a_draft(stop: int, tree: Tree) -> None:
    prompts = [[0], [1, 2], [2]]
    found, expected = speculate(GOOD, prompts, 10, tree, stop), complete(GOOD, prompts, 10, stop)
    assert_equal(found, expected)
    drafts, lengths = found.drafts, torch.tensor(found.lengths)
    assert (drafts.position + drafts.drafted <= lengths[drafts.sequence]).all(), "no draft reaches beyond the end"


@pytest.mark.parametrize("stop", range(4))
def test_random_networks_stop_at_the_same_tokens(stop: int) -> None:
    network, prompts = tiny_network("parallel", N).double(), prompts_of()
    assert_equal(speculate(network, prompts, NEW, BUSH, stop), complete(network, prompts, NEW, stop))


@pytest.mark.parametrize("tree", [Tree.chain(N), BUSH], ids=["chain", "bush"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_drafts_do_not_change_the_samples(kind: str, tree: Tree) -> None:
    network, prompts = tiny_network(kind, N).double(), prompts_of()
    drafts = "greedy" if tree.is_chain else "sampled"  # a tree with branches cannot be greedy
    sampling = Sampling(temperature=0.7, top_k=5, seed=4, drafts=drafts)
    expected = complete(network, prompts, NEW, sampling=sampling)
    assert_equal(speculate(network, prompts, NEW, tree, sampling=sampling), expected)


def test_output_does_not_depend_on_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    network, sampling = tiny_network("parallel", N).double(), Sampling(drafts="greedy")
    prompts = prompts_of((1, 5, 3, 5, 2, 4, 4, 2))
    whole = speculate(network, prompts, NEW, Tree.chain(N), sampling=sampling)
    monkeypatch.setattr(speculation, "SEQUENCES_AT_ONCE", 3)
    parts = speculate(network, prompts, NEW, Tree.chain(N), sampling=sampling)
    assert_equal(parts, whole)
    assert parts.forwards == whole.forwards
    assert sorted(zip(*(each.tolist() for each in parts.drafts), strict=True)) == sorted(
        zip(*(each.tolist() for each in whole.drafts), strict=True)
    )


P_TABLE = np.log([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]]).tolist()
Q_TABLES = [np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]]).tolist(), np.log([[0.34, 0.33, 0.33]] * 3).tolist()]
SAMPLINGS = [
    Sampling(),
    Sampling(temperature=0.6),
    Sampling(top_k=2),
    Sampling(top_p=0.7),
    Sampling(temperature=1.5, top_k=2, top_p=0.9),
    Sampling(drafts="greedy"),
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_samples_have_the_distribution_of_head_1(sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare all sequences of three new tokens by chi-square and total variation over 20,000 draws."""
    monkeypatch.setattr(speculation, "SEQUENCES_AT_ONCE", 20_000)
    count, network = 20_000, table_network(P_TABLE, *Q_TABLES)
    found = speculate(network, torch.zeros(count, 1, dtype=torch.int64), 3, Tree.chain(3), sampling=sampling)
    assert 0 < found.acceptance(1) < 1
    steps = sampling.probabilities(torch.tensor(P_TABLE)).numpy()
    expected = np.array([steps[0, a] * steps[a, b] * steps[b, c] for a, b, c in product(range(3), repeat=3)])
    counts = np.bincount((found.tokens_BT[:, 1:] @ torch.tensor([9, 3, 1])).numpy(), minlength=27)
    assert (counts[expected == 0] == 0).all(), "an impossible sequence was drawn"
    possible = expected > 0
    assert stats.chisquare(counts[possible], count * expected[possible]).pvalue > 1e-3
    assert np.abs(counts / count - expected).sum() / 2 < 0.02


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.5), Sampling(top_k=2), Sampling(top_p=0.6)])
def test_drafts_of_the_same_distribution_are_all_accepted(sampling: Sampling) -> None:
    """Temperature, top-k and top-p change the distributions of the drafts as they change that of head 1."""
    same = [[0.0, 1.0, 0.5]] * 3
    found = speculate(table_network(same, same, same), [[0]] * 200, 7, Tree.chain(3), sampling=sampling)
    assert found.acceptance(1) == found.acceptance(2) == 1


def test_wrong_calls_are_rejected() -> None:
    with pytest.raises(lab.LabError, match="heads must be at most n_future = 3, not 4"):
        speculate(GOOD, [[0]], 3, Tree.chain(4))
    with pytest.raises(lab.LabError, match="new_tokens must be at least 1, not 0"):
        speculate(GOOD, [[0]], 0, Tree.chain(2))
    with pytest.raises(lab.LabError, match="tree must have ranks below the vocabulary of 3, not 3"):
        speculate(GOOD, [[0]], 3, Tree(((3,),)))
    with pytest.raises(lab.LabError, match="prompt 0 has 3"):
        speculate(GOOD, [[3]], 2, Tree.chain(2))
