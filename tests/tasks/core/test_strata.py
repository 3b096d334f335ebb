import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.core.division import split_of
from tasks.core.strata import (
    MOST_RANKED,
    Ranks,
    capped_permutations,
    capped_power,
    keep_probability,
    kept_shares,
    split_of_blocks,
    split_sizes,
)

NUMBERED = [
    tasks.get("induction", vocabulary=6, period=(2, 4), length=8),
    tasks.get("addition", digits=(1, 2), test_digits=None),
    tasks.get("polynomial", p=3, k=1, operations=(1, 2), test_operations=None),
    tasks.get("polynomial", p=2, k=2, operations=(1, 1), pause=3, test_operations=None),
    tasks.get("star", nodes=5, query="any", shortest_arm=2),
    tasks.get("star", degree=3, arm=2, nodes=6, query="any", form="public"),
]
EACH = pytest.mark.parametrize("task", NUMBERED, ids=lambda task: task.name)


@EACH
def test_ranks_number_the_instances_of_every_block(task: Task) -> None:
    count, _ = task.instance_count()
    tokens = np.concatenate([task.draw(np.random.default_rng(seed), 30 * count, "train").tokens for seed in range(3)])
    _, one_of_each = np.unique(task.instances(tokens), axis=0, return_index=True)
    tokens = tokens[one_of_each]
    assert len(tokens) == count
    ranks = task.rank(tokens)
    for block in np.unique(ranks.block_B):
        here = ranks.block_B == block
        assert len(np.unique(ranks.size_B[here])) == 1
        assert np.sort(ranks.rank_B[here]).tolist() == list(range(ranks.size_B[here][0]))
    listed = Counter({size: 0 for stratum in task.strata() for size, _ in stratum.blocks})
    # Every stratum of addition includes the sums of fewer digits.
    for stratum in task.strata() if task.name != "addition" else task.strata()[-1:]:
        listed.update(dict(stratum.blocks))
    assert sum(size * number for size, number in listed.items()) == count
    drawn_sizes = Counter(ranks.size_B.tolist())
    assert {size: times // size for size, times in drawn_sizes.items()} == dict(listed)
    splits = Counter(split_of(task, tokens).tolist())
    for split in range(3):
        assert splits[split] == sum(number * split_sizes(size)[split] for size, number in listed.items())


@EACH
def test_every_block_has_its_probability_in_every_split(task: Task) -> None:
    def chances(tokens: np.ndarray) -> dict[int, float]:
        blocks, times = np.unique(task.rank(tokens).block_B, return_counts=True)
        return dict(zip(blocks.tolist(), (times / len(tokens)).tolist(), strict=True))

    stated = chances(task.draw(np.random.default_rng(0), 50_000, "train").tokens)
    for split in SPLITS:
        drawn = chances(task.batch(0, 0, 10_000, split).tokens)
        for block, chance in stated.items():
            assert abs(drawn.get(block, 0.0) - chance) < 5 * math.sqrt(chance / 10_000), (split, block)


@given(st.integers(3, 2000), st.integers(0, 2**63))
@settings(max_examples=25, deadline=None)
def test_a_block_is_divided_exactly(size: int, block: int) -> None:
    ranks = Ranks(np.arange(size), np.full(size, size), np.full(size, block, dtype=np.uint64))
    splits = split_of_blocks(ranks, np.zeros(size, dtype=np.int8))
    assert tuple(np.bincount(splits, minlength=3)) == split_sizes(size)
    assert min(split_sizes(size)) >= 1


@given(st.lists(st.integers(3, 2 * MOST_RANKED), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_same_share_of_every_block_is_kept(blocks: list[int]) -> None:
    kept = kept_shares(tuple(blocks))
    for split, hashed in enumerate((14 / 16, 1 / 16, 1 / 16)):
        chance = keep_probability(np.array([size if size <= MOST_RANKED else 0 for size in blocks]), split, kept[split])
        inside = [split_sizes(size)[split] / size if size <= MOST_RANKED else hashed for size in blocks]
        np.testing.assert_allclose(chance * inside, kept[split])
        assert (chance <= 1 + 1e-12).all()


def test_a_block_of_many_instances_is_divided_by_the_hash() -> None:
    by_hash = np.array([0, 1, 2, 0], dtype=np.int8)
    ranks = Ranks(np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.uint64))
    np.testing.assert_array_equal(split_of_blocks(ranks, by_hash), by_hash)
    assert tasks.get("induction").rank(tasks.get("induction").batch(0, 0, 4).tokens) is None


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("induction", {"vocabulary": 2, "period": [1, 2], "length": 4}, "the stratum 'period 1' has 2 equally likely"),
        ("polynomial", {"p": 2, "k": 1}, "the stratum '1 operation' has 2 equally likely"),
        ("agreement", {"pairs": 1, "keys": 1, "verbs": 2, "cases": 2}, "the stratum 'all' has 2 equally likely"),
        ("discovery", {"children": 3}, "at least one of the pairs of children of a parent, here 3"),
        ("bigram", {"vocabulary": 3, "triggers": 1, "length": 4}, "bigram.length must be larger"),
    ],
)
def test_settings_with_too_few_instances_are_rejected(name: str, chosen: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get(name, **chosen)


def test_negations_are_a_quarter_of_the_shortest_expressions() -> None:
    task = tasks.get("polynomial", p=3, k=2, operations=(1, 1), test_operations=None)
    for split in SPLITS:
        first = np.bincount(task.batch(0, 0, 8000, split).tokens[:, 0] - 3, minlength=4) / 8000
        np.testing.assert_allclose(first, 1 / 4, atol=0.025)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("markov", {"length": 10**12}),
        ("belief", {"length": 10**12}),
        ("induction", {"vocabulary": 10**5, "period": [1, 3000], "length": 10**5}),
        ("polynomial", {"p": 32749, "k": 64, "operations": [1, 100]}),
        ("recall", {"vocabulary": 10**9, "pairs": 10**8, "length": 10**9}),
        ("agreement", {"pairs": 10**6, "keys": 10**7, "verbs": 10**6}),
        ("star", {"degree": 10**5, "nodes": 10**6}),
        ("star", {"degree": 10**5, "arm": 9, "nodes": 10**6, "query": "any", "shortest_arm": 2}),
        ("bigram", {"vocabulary": 512, "length": 10**9}),
    ],
)
def test_huge_settings_are_built_without_enumeration(name: str, chosen: dict[str, object]) -> None:
    assert tasks.get(name, **chosen).settings["loss_on"]


def test_huge_counts_are_capped() -> None:
    assert (capped_power(3, 5), capped_permutations(7, 3)) == (243, 210)
    assert capped_power(7, 10**9) == capped_permutations(10**9, 10**6) == 10**1000
