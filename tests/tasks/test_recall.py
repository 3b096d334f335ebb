import numpy as np
import pytest

import tasks
from tasks import TaskError
from tasks.recall import ANSWER, FILLER, KEY, QUERY, VALUE

TASK = tasks.get("recall")


def test_every_key_is_asked_for_once_and_answered_with_its_value() -> None:
    batch = TASK.batch(0, 0, 300)
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        known = dict(zip(tokens[roles == KEY].tolist(), tokens[roles == VALUE].tolist(), strict=True))
        asked = dict(zip(tokens[roles == QUERY].tolist(), tokens[roles == ANSWER].tolist(), strict=True))
        assert asked == known
        assert len(known) == (roles == KEY).sum() == 8
        assert (np.flatnonzero(roles == ANSWER) == np.flatnonzero(roles == QUERY) + 1).all()
        assert (tokens[roles == FILLER] == 0).all()


def test_keys_and_values_come_evenly_from_the_two_halves_of_the_vocabulary() -> None:
    batch = TASK.batch(0, 1, 4000)
    for role, low, high in ((KEY, 1, 32), (VALUE, 32, 64)):
        counts = np.bincount(batch.tokens[batch.roles == role], minlength=64)
        assert counts[:low].sum() == counts[high:].sum() == 0
        expected = 32_000 / (high - low)
        assert abs(counts[low:high] - expected).max() < 5 * np.sqrt(expected)


def test_gaps_follow_the_power_law() -> None:
    task = tasks.get("recall", pairs=1, length=42, power=0.3)
    place = (task.batch(0, 0, 20_000).roles == QUERY).argmax(axis=1)
    counts = np.bincount((place - 2) // 2, minlength=20)
    gaps = np.arange(1, 21)
    expected = 20_000 * gaps**-0.7 / (gaps**-0.7).sum()
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_queries_without_replacement_favour_early_slots() -> None:
    taken = (TASK.batch(0, 0, 4000).roles[:, 16:] == QUERY)[:, ::2].mean(axis=0)
    assert taken[0] > 0.85
    assert taken[0] > taken[3] > taken[-1]
    assert taken.sum() == pytest.approx(8)


def test_floors_are_the_entropies_of_the_draws() -> None:
    assert TASK.floor("answer") == 0
    assert TASK.floor("value") == pytest.approx(np.log(32))
    assert TASK.floor("key") == pytest.approx(np.mean([np.log(31 - j) for j in range(1, 8)]))
    assert TASK.floor("filler") is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 7}, "vocabulary must be even"),
        ({"pairs": 0}, "pairs"),
        ({"pairs": 32}, "between 1 and 31"),
        ({"length": 30}, "at least 32"),
        ({"length": 65}, "even"),
        ({"power": 0.0}, "power must be above 0"),
    ],
)
def test_bad_settings_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("recall", **wrong)
