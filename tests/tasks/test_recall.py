import itertools
import math

import numpy as np
import pytest
from scipy import stats

import tasks
from tasks import SPLITS, Task, TaskError
from tasks.recall import ANSWER, FILLER, KEY, QUERY, VALUE
from tests.helpers.enumeration import assert_joints_are_exact

TASK = tasks.get("recall", vocabulary=64, pairs=8, length=64)
SMALL = tasks.get("recall", vocabulary=12, pairs=2, length=12)


def draw_tokens(task: Task, sequences: int) -> np.ndarray:
    """Draw sequences of the task's distribution, of any split."""
    return task.draw(np.random.default_rng(0), sequences, "train").tokens


def test_every_key_is_queried_once_and_answered_with_its_value() -> None:
    batch = TASK.batch(0, 0, 300)
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        known = dict(zip(tokens[roles == KEY].tolist(), tokens[roles == VALUE].tolist(), strict=True))
        queried = dict(zip(tokens[roles == QUERY].tolist(), tokens[roles == ANSWER].tolist(), strict=True))
        assert queried == known
        assert len(known) == len(set(known.values())) == (roles == KEY).sum() == 8
        assert (np.flatnonzero(roles == ANSWER) == np.flatnonzero(roles == QUERY) + 1).all()
        assert (np.flatnonzero(roles == QUERY) % 2 == 0).all()
        assert (tokens[roles == FILLER] == 0).all()
        assert set(roles[:16:2]) == {KEY}
        assert set(roles[1:16:2]) == {VALUE}


def test_keys_and_values_are_uniform() -> None:
    """The ranges are the published ones: keys 1 to V/2 - 1, values V/2 to V - 1, at every position."""
    tokens = draw_tokens(TASK, 8000)
    for position, low, high in ((0, 1, 32), (14, 1, 32), (1, 32, 64), (15, 32, 64)):
        counts = np.bincount(tokens[:, position], minlength=64)
        assert counts[:low].sum() == counts[high:].sum() == 0
        assert stats.chisquare(counts[low:high]).pvalue > 1e-3, position


def test_keys_and_values_are_drawn_without_replacement() -> None:
    tokens = draw_tokens(SMALL, 40_000)
    keys, values = ([*itertools.permutations(ids, 2)] for ids in (range(1, 6), range(6, 12)))
    index_of = {(*key, *value): number for number, (key, value) in enumerate(itertools.product(keys, values))}
    counts = np.bincount([index_of[tuple(row)] for row in tokens[:, [0, 2, 1, 3]].tolist()], minlength=len(index_of))
    assert len(counts) == 20 * 30
    assert stats.chisquare(counts).pvalue > 1e-3


def gap_distribution(slots: int, power: float) -> np.ndarray:
    """Compute the published weights of the gaps, for g = 1 to the number of slots."""
    weights = power * np.arange(1, slots + 1) ** (power - 1)
    return weights / weights.sum()


@pytest.mark.parametrize("power", [0.01, 0.3, 1.0])
def test_gaps_follow_the_power_distribution(power: float) -> None:
    task = tasks.get("recall", pairs=1, length=42, power=power)
    slot = (draw_tokens(task, 20_000)[:, 2::2] > 0).argmax(axis=1)
    counts = np.bincount(slot, minlength=20)
    assert stats.chisquare(counts, 20_000 * gap_distribution(20, power)).pvalue > 1e-3
    if power == 1:
        assert stats.chisquare(counts).pvalue > 1e-3


def test_slots_are_drawn_without_replacement() -> None:
    """The first key draws its slot from the power distribution, the second from the other slots, as in the published code."""
    tokens, distribution = draw_tokens(SMALL, 40_000), gap_distribution(4, 0.01)
    queried = tokens[:, 4::2]
    slots = [(queried == tokens[:, 2 * number : 2 * number + 1]).argmax(axis=1) for number in range(2)]
    counts = np.zeros((4, 4))
    np.add.at(counts, (slots[0], slots[1]), 1)
    pairs = list(itertools.permutations(range(4), 2))
    expected = [40_000 * distribution[first] * distribution[second] / (1 - distribution[first]) for first, second in pairs]
    assert stats.chisquare([counts[pair] for pair in pairs], expected).pvalue > 1e-3


def test_floors_are_exact_by_enumeration_of_the_pairs() -> None:
    keys, values = (list(itertools.permutations(ids, 2)) for ids in (range(1, 6), range(6, 12)))
    sequences = [(key[0], value[0], key[1], value[1]) for key, value in itertools.product(keys, values)]

    def entropy(position: int) -> float:
        """Compute the entropy of the token at a position given those before it, for equally likely sequences."""
        before, here = ({sequence[:end] for sequence in sequences} for end in (position, position + 1))
        return math.log(len(here) / len(before))

    assert SMALL.floor("key") == pytest.approx(entropy(2))
    assert SMALL.floor("value") == pytest.approx((entropy(1) + entropy(3)) / 2)
    assert SMALL.floor("answer") == 0
    assert SMALL.floor("filler") is SMALL.floor("query") is SMALL.floor("-") is None
    assert tasks.get("recall", pairs=1).floor("key") == 0


def test_joints_agree_with_enumeration_of_the_pairs() -> None:
    task = tasks.get("recall", vocabulary=8, pairs=3, length=12)
    sequences = np.array(
        [
            [*(token for pair in pairs for token in pair), *(token for number in order for token in pairs[number])]
            for keys in itertools.permutations((1, 2, 3))
            for values in itertools.permutations((4, 5, 6, 7), 3)
            for pairs in [[*zip(keys, values, strict=True)]]
            for order in itertools.permutations(range(3))
        ]
    )
    assert_joints_are_exact(task, sequences, np.ones(len(sequences)), range(4))
    assert [task.joint(task.label(sequences), position) for position in range(4, 10)] == [None] * 6


def test_the_second_token_of_a_slot_is_certain() -> None:
    row = np.array([[4, 9, 5, 7, 0, 0, 5, 7, 0, 0, 4, 9]])
    for count in (5, 7, 9, 11):
        assert SMALL.next_distribution(row[:, :count])[0].tolist() == [float(token == row[0, count]) for token in range(12)]


def test_a_contrast_is_another_value_of_a_queried_key() -> None:
    batch = TASK.batch(0, 0, 200)
    contrast = TASK.contrast(batch)
    for old, new, changed, answer in zip(batch.tokens, contrast.tokens, contrast.changed, contrast.answer, strict=True):
        assert np.flatnonzero(old != new).tolist() == [changed, answer]
        assert new[changed] == new[answer]
        assert old[changed] == old[answer]
        assert new[changed] not in old
    assert set(contrast.changed.tolist()) == set(range(1, 16, 2))


def test_the_latent_value_is_known_at_a_query() -> None:
    row = np.array([[4, 9, 5, 7, 0, 0, 5, 7, 0, 0, 4, 9]])
    np.testing.assert_array_equal(SMALL.latents(SMALL.label(row))["value"], [[-1] * 6 + [1] + [-1] * 3 + [3, -1]])


def test_a_wrong_value_is_inconsistent_at_its_query_alone() -> None:
    row = np.array([[4, 9, 5, 7, 0, 0, 5, 9, 0, 0, 4, 9]])
    assert np.flatnonzero(~SMALL.consistent(row)[0]).tolist() == [7]


def test_chances_are_the_shares_of_the_best_guess() -> None:
    batch = TASK.draw(np.random.default_rng(0), 20_000, "train")
    for role in (KEY, VALUE, QUERY, ANSWER):
        counts = np.bincount(batch.tokens[batch.roles == role])
        assert counts.max() / counts.sum() == pytest.approx(TASK.chance(TASK.roles[role]), rel=0.05)
    assert TASK.chance("filler") is None


def test_order_and_gaps_do_not_change_an_instance() -> None:
    one, other = SMALL.parse("3 9 5 8 3 9 0 0 5 8 0 0"), SMALL.parse("5 8 3 9 0 0 5 8 0 0 3 9")
    np.testing.assert_array_equal(SMALL.instances(one.tokens), SMALL.instances(other.tokens))
    assert SMALL.instance_count() == (10 * 30, "exact")
    different = SMALL.parse("3 8 5 9 3 8 0 0 5 9 0 0")
    assert not np.array_equal(SMALL.instances(one.tokens), SMALL.instances(different.tokens))


def test_the_splits_of_few_pairs_are_disjoint_and_leave_none_out() -> None:
    task = tasks.get("recall", vocabulary=16, pairs=1, length=12)
    seen = {split: {tuple(row) for row in task.instances(task.batch(0, 0, 3000, split).tokens).tolist()} for split in SPLITS}
    assert len(set.union(*seen.values())) == sum(map(len, seen.values())) == 7 * 8
    assert min(map(len, seen.values())) >= 1


def test_every_query_is_solved() -> None:
    batch = TASK.batch(0, 0, 30)
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        for query in np.flatnonzero(roles == QUERY):
            assert TASK.solve(tokens[: query + 1]).tolist() == [tokens[query + 1]]


@pytest.mark.parametrize("prompt", [[], [3, 9, 5], [3, 9, 5, 8], [3, 9, 5, 8, 4], [3, 9, 5, 8, 0], [3, 9, 5, 8, 3, 9]])
def test_prompts_that_query_no_key_have_no_answer(prompt: list[int]) -> None:
    with pytest.raises(TaskError, match="a prompt to solve begins with 2 pairs and ends with one of their keys"):
        SMALL.solve(np.array(prompt, dtype=np.int64))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 9 5 8 3 8 0 0 5 8 0 0", "after 3 must come 9, not 8"),
        ("3 9 5 8 3 9 0 7 5 8 0 0", "after 0 must come 0, not 7"),
        ("3 9 3 8 3 9 0 0 5 8 0 0", "all different"),
        ("3 9 5 9 3 9 0 0 5 9 0 0", "all different"),
        ("7 9 5 8 7 9 0 0 5 8 0 0", "a key from 1 to 5"),
        ("3 2 5 8 3 2 0 0 5 8 0 0", "a value from 6 to 11"),
        ("3 9 5 8 3 9 0 0 3 9 0 0", "then each key once more"),
        ("3 9 5 8 3 9 0 0 0 0 0 0", "then each key once more"),
        ("3 9 5 8 0 3 9 0 5 8 0 0", "then each key once more"),
    ],
)
def test_invalid_sequences_are_rejected_with_the_fault(line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        SMALL.parse(line)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 7}, "vocabulary must be even"),
        ({"pairs": 0}, "pairs"),
        ({"pairs": 16}, "between 1 and 15"),
        ({"length": 22}, "at least 24"),
        ({"length": 33}, "even"),
        ({"power": 0.0}, "power must be above 0"),
        ({"power": 1000.0}, "power must be above 0 and at most 10"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("recall", **wrong)
