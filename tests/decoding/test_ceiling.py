"""The ceiling of independent drafts, compared with other computations of the same distributions."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import tasks
from lab.decoding.ceiling import acceptance_chances, complete_exactly, distributions_ahead, tokens_per_forward
from lab.errors import LabError
from tasks import Task

SMALL: dict[str, dict[str, Any]] = {
    "bigram": {"vocabulary": 5, "triggers": 1, "length": 20, "alpha": 0.5},
    "markov": {"states": 3, "length": 20},
    "induction": {"vocabulary": 6, "period": [2, 3], "length": 16},
}


def small_task(name: str) -> Task:
    return tasks.get(name, **SMALL[name])


@pytest.mark.parametrize("name", SMALL)
def test_the_second_token_has_the_marginal_of_the_joint(name: str) -> None:
    task = small_task(name)
    batch = task.batch(0, 0, 8)
    joint_BVV = task.joint(batch, 5)
    assert joint_BVV is not None
    first_BV, second_BV = distributions_ahead(task, batch.tokens[:, :6], 2)
    np.testing.assert_allclose(first_BV, joint_BVV.sum(axis=2), atol=1e-12)
    np.testing.assert_allclose(second_BV, joint_BVV.sum(axis=1), atol=1e-12)


def test_the_third_token_agrees_with_enumeration() -> None:
    task = small_task("markov")
    prefix_BT = task.batch(0, 0, 4).tokens[:, :7]
    expected_BV = np.zeros((4, 3))
    for path in product(range(3), repeat=3):
        chance_B = np.ones(4)
        for step, token in enumerate(path):
            before = np.concatenate([prefix_BT, np.tile(path[:step], (4, 1)).astype(np.int64)], axis=1)
            next_BV = task.next_distribution(before)
            assert next_BV is not None
            chance_B *= next_BV[:, token]
        expected_BV[:, path[-1]] += chance_B
    np.testing.assert_allclose(distributions_ahead(task, prefix_BT, 3)[2], expected_BV, atol=1e-12)


def test_drawn_text_follows_the_distribution() -> None:
    task = small_task("markov")
    prompt_B1 = np.zeros((20_000, 1), dtype=np.int64)
    drawn = complete_exactly(task, prompt_B1, 2, np.random.default_rng(0))[:, 1]
    expected = distributions_ahead(task, prompt_B1[:1], 1)[0, 0]
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / len(drawn), expected, atol=0.02)
    assert (complete_exactly(task, prompt_B1[:2], 6, None) == complete_exactly(task, prompt_B1[:2], 6, None)).all()


def test_drafts_of_a_copied_segment_are_all_accepted() -> None:
    """In the second copy of a segment every token is certain, however far ahead."""
    task = small_task("induction")
    prompt = 8  # periods are at most 3
    text = complete_exactly(task, task.batch(0, 0, 16).tokens[:, :prompt], 16, None)
    for greedy in (True, False):
        chances = acceptance_chances(task, text, prompt, 4, greedy=greedy)
        assert (chances[prompt:-3] == 1).all()
        assert (chances[:prompt] == 0).all()
    assert tokens_per_forward(chances, prompt, np.random.default_rng(0)) == 8 / 3  # the prompt's 1, then 4 and the last 3


def test_acceptance_of_drawn_drafts_agrees_with_simulation() -> None:
    """Simulate algorithm 1 of Leviathan et al. 2023 over many draws of one draft."""
    task, rng = small_task("bigram"), np.random.default_rng(1)
    start = task.batch(0, 0, 1).tokens[:, :3]
    text = complete_exactly(task, np.repeat(start, 4000, axis=0), 5, rng)
    chances = acceptance_chances(task, text, 3, 2, greedy=False)[3, :, 0]
    q_V = distributions_ahead(task, start, 2)[1, 0]
    p_VV = task.next_distribution(np.column_stack([np.repeat(start, len(q_V), axis=0), np.arange(len(q_V))]))
    assert p_VV is not None
    drafted_B = rng.choice(len(q_V), size=4000, p=q_V / q_V.sum())
    accepted = rng.random(4000) * q_V[drafted_B] < p_VV[text[:, 3], drafted_B]
    assert 0.1 < np.mean(accepted) < 0.9
    assert abs(np.mean(accepted) - chances.mean()) < 0.03


def test_a_greedy_draft_is_wrong_where_modes_differ() -> None:
    """A greedy draft is right where the mode of the second token is also the mode after the most probable first token."""
    task = small_task("bigram")
    prefix = task.batch(0, 0, 200).tokens[:, :6]
    text = complete_exactly(task, prefix, 8, None)
    joint_BVV = task.joint(task.batch(0, 0, 200), 5)
    assert joint_BVV is not None
    first_B = joint_BVV.sum(axis=2).argmax(axis=1)
    agree_B = joint_BVV.sum(axis=1).argmax(axis=1) == joint_BVV[np.arange(200), first_B].argmax(axis=1)
    assert 0 < agree_B.mean() < 1
    np.testing.assert_array_equal(acceptance_chances(task, text, 6, 2, greedy=True)[6, :, 0], agree_B)


def test_a_draft_after_a_failure_is_not_accepted() -> None:
    """The first draft always fails and the second never does: each pass gives one token."""
    chances_TBI = np.tile([0.0, 1.0], (7, 2, 1))
    assert tokens_per_forward(chances_TBI, 3, np.random.default_rng(0)) == 1


def test_a_task_without_a_distribution_is_rejected() -> None:
    task = tasks.get("stories")
    with pytest.raises(LabError, match="stories does not know the distribution of the next token after 4 tokens"):
        distributions_ahead(task, task.batch(0, 0, 2).tokens[:, :4], 2)
