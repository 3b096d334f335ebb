import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import TaskError
from tasks.core.rng import epoch_order, stream
from tasks.core.splits import SLOTS, divide_exactly, draw_in_split, fingerprint_rows, hash_instances, partition, split_of


def test_a_stream_is_a_function_of_label_seed_and_index() -> None:
    usual = stream("a", seed=1, index=2).random(8)
    np.testing.assert_array_equal(usual, stream("a", seed=1, index=2).random(8))
    for other in (stream("b", seed=1, index=2), stream("a", seed=2, index=2), stream("a", seed=1, index=3)):
        assert not np.isin(other.random(8), usual).any()


def test_the_next_index_is_not_a_shifted_stream() -> None:
    long, following = stream("a", seed=0, index=0).random(10_000), stream("a", seed=0, index=1).random(100)
    assert not np.isin(following, long).any()


def test_the_stream_is_the_same_on_every_machine() -> None:
    assert stream("golden", seed=1, index=2).integers(1000, size=6).tolist() == [888, 151, 275, 790, 678, 493]


def test_hashes_are_uniform_and_depend_on_every_column() -> None:
    rows = np.stack(np.meshgrid(np.arange(-1, 63), np.arange(64), indexing="ij"), axis=-1).reshape(-1, 2)
    words = hash_instances(rows)
    assert len(np.unique(words)) == len(rows)
    counts = np.bincount((words >> np.uint64(60)).astype(int), minlength=SLOTS)
    assert abs(counts - len(rows) / SLOTS).max() < 5 * np.sqrt(len(rows) / SLOTS)
    assert not np.isin(hash_instances(rows, key=1), words).any()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(0, 5))
def test_fingerprints_ignore_trailing_zeros(codes: list[int], zeros: int) -> None:
    bases = (0x9E3779B97F4A7C15, 0xD1342543DE82EF95)
    expected = [sum(code * base ** (j + 1) for j, code in enumerate(codes)) % 2**64 for base in bases]
    for row in (codes, codes + [0] * zeros):
        assert fingerprint_rows(np.array([row])).tolist() == [expected]


def test_splits_have_their_shares() -> None:
    shares = np.bincount(split_of(np.arange(100_000)[:, None]), minlength=3) / 100_000
    np.testing.assert_allclose(shares, [14 / 16, 1 / 16, 1 / 16], atol=0.004)


@given(st.integers(3, 500))
@settings(max_examples=25, deadline=None)
def test_a_partition_is_exact_and_repeatable(instances: int) -> None:
    shares = (1 / 3, 1 / 3, 1 / 3)
    splits = partition(instances, shares, key="test")
    counts = np.bincount(splits, minlength=3)
    assert counts.sum() == instances
    assert abs(counts[:2] - instances / 3).max() <= 0.5
    np.testing.assert_array_equal(splits, partition(instances, shares, key="test"))


def test_a_partition_with_an_empty_split_is_rejected() -> None:
    with pytest.raises(TaskError, match="too few"):
        partition(2, (0.8, 0.1, 0.1), key="test")


@given(st.integers(3, 300))
@settings(max_examples=25, deadline=None)
def test_few_instances_are_divided_exactly_in_any_order(instances: int) -> None:
    every = np.stack([np.arange(instances), np.arange(instances) ** 2], axis=1)
    splits = divide_exactly(every)(every)
    other = max(1, round(instances / 16))
    assert np.bincount(splits, minlength=3).tolist() == [instances - 2 * other, other, other]
    np.testing.assert_array_equal(divide_exactly(every[::-1])(every), splits)


def test_settings_with_too_few_instances_are_rejected() -> None:
    with pytest.raises(TaskError, match="found only 0 of 4 instances for the test split"):
        draw_in_split(lambda count: (np.zeros((count, 1)),), lambda rows: rows[0][:, 0] > 0, 4, "test", 1 / 16)


def test_an_epoch_visits_every_example_once() -> None:
    first, second = (epoch_order(100, seed=3, epoch=epoch) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100))
    assert not np.array_equal(first, second)
