"""Trees of drafts: their shape, how they are derived, and their JSON."""

import itertools
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.decoding import Tree, derive_tree

BUSH = Tree(((0,), (1,), (0, 0), (0, 2), (0, 2, 0)))


def test_tensors_of_a_tree_are_those_derived_by_hand() -> None:
    assert (BUSH.rows, BUSH.depth, BUSH.heads, BUSH.is_chain) == (6, 3, 4, False)
    assert BUSH.depths.tolist() == [0, 1, 1, 2, 2, 3]
    assert BUSH.ranks.tolist() == [0, 0, 1, 0, 2, 0]
    assert BUSH.parents.tolist() == [0, 0, 0, 1, 1, 4]
    assert BUSH.path_rows.tolist()[2] == [0, 2, 2, 2]
    assert BUSH.path_rows.tolist()[5] == [0, 1, 4, 5]
    assert [row.nonzero()[:, 0].tolist() for row in BUSH.mask] == [[0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 1, 4, 5]]


def test_a_chain_is_causal() -> None:
    chain = Tree.chain(4)
    assert chain.paths == ((0,), (0, 0), (0, 0, 0))
    assert chain.is_chain
    assert torch.equal(chain.mask, torch.ones(4, 4, dtype=torch.bool).tril())
    assert not Tree(((1,),)).is_chain
    assert not Tree(((0,), (1,))).is_chain


RANKS = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2).map(tuple), min_size=1, max_size=30)


def count_accepted(tree: Tree, ranks: list[tuple[int, ...]]) -> int:
    """Count the accepted drafts over all positions."""
    return sum(max((len(path) for path in tree.paths if line[: len(path)] == path), default=0) for line in ranks)


@given(RANKS, st.integers(1, 4))
def test_no_tree_with_as_many_nodes_accepts_more(ranks: list[tuple[int, ...]], nodes: int) -> None:
    """Compare with every set of nodes that is a tree."""
    found = derive_tree(ranks, nodes)
    assert len(found.paths) <= nodes
    every = {line[:depth] for line in ranks for depth in (1, 2)}
    trees = [
        chosen
        for size in range(1, nodes + 1)
        for chosen in itertools.combinations(sorted(every), size)
        if all(len(path) == 1 or path[:1] in chosen for path in chosen)
    ]
    assert count_accepted(found, ranks) == max(count_accepted(Tree(tuple(sorted(each, key=len))), ranks) for each in trees)


def test_of_equal_gains_the_shallower_nodes_come_first() -> None:
    ranks = [(0, 0), (1, 0)]
    assert derive_tree(ranks, 2).paths == ((0,), (1,))
    assert derive_tree(ranks, 3).paths == ((0,), (1,), (0, 0))


def test_json_restores_a_tree() -> None:
    assert Tree.from_json(BUSH.to_json(5), 5) == BUSH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "a tree must be a JSON object of format 1"),
        ({"n_future": 3}, "a tree must be for n_future = 4, not 3"),
        ({"paths": []}, "a tree must have at least one node"),
        ({"paths": [[]]}, r"a tree's paths must be lists of ranks"),
        ({"paths": [[0.5]]}, r"a tree's paths must be lists of ranks"),
        ({"paths": "no"}, r"a tree's paths must be lists of ranks"),
        ({"paths": [[0, 0]]}, r"nodes must each be new and follow their parents; \[0, 0\] does not"),
        ({"paths": [[0], [0]]}, r"nodes must each be new and follow their parents; \[0\] does not"),
        ({"paths": [[-1]]}, r"nodes must each be new and follow their parents; \[-1\] does not"),
        ({"paths": [[0], [0, 0], [0, 0, 0], [0, 0, 0, 0]]}, "a tree must use at most n_future = 4 heads, not 5"),
    ],
)
def test_damaged_trees_are_rejected(change: dict[str, object], message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        Tree.from_json(json.dumps(json.loads(BUSH.to_json(4)) | change), 4)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_other_text_is_rejected(text: str) -> None:
    with pytest.raises(lab.LabError, match="a tree must be"):
        Tree.from_json(text, 4)


def test_wrong_sizes_are_rejected() -> None:
    with pytest.raises(lab.LabError, match="heads must be at least 2 for a draft, not 1"):
        Tree.chain(1)
    with pytest.raises(lab.LabError, match="nodes must be at least 1, not 0"):
        derive_tree([(0,)], 0)
    with pytest.raises(lab.LabError, match="a tree needs sequences with at least 2 new tokens"):
        derive_tree([], 3)
