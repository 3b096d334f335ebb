"""Answers of tasks to instruments, for every task that gives them: contrasts, latents, consistency, roles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tasks
from tasks import Batch, Task
from tasks.core.insight import Contrast, choose
from tests.helpers.insight import SEQUENCES, for_tasks_with, reorder, with_tokens

# --- contrasts -----------------------------------------------------------------------------------------------------


def draw_contrast(task: Task) -> tuple[Batch, Contrast]:
    batch = task.batch(0, 0, SEQUENCES, "test")
    contrast = task.contrast(batch)
    if contrast is None:
        pytest.skip("no contrast at these settings")
    return batch, contrast


@for_tasks_with("contrast")
def test_a_contrast_changes_one_cause_and_its_answer(task: Task) -> None:
    batch, contrast = draw_contrast(task)
    count = len(contrast.sequence)
    assert count > 0
    assert (np.diff(contrast.sequence) > 0).all()
    assert contrast.tokens.shape == (count, task.length)
    assert contrast.changed.shape == contrast.answer.shape == (count,)
    assert all(getattr(contrast, field.name).dtype == np.int64 for field in dataclasses.fields(contrast))
    assert (contrast.changed < contrast.answer).all()
    differs = contrast.tokens != batch.tokens[contrast.sequence]
    assert differs[np.arange(count), contrast.answer].all()
    before = np.where(np.arange(task.length) < contrast.answer[:, None], differs, False)
    np.testing.assert_array_equal(before, np.arange(task.length) == contrast.changed[:, None])
    assert (batch.roles[contrast.sequence, contrast.answer] != 0).all()


@for_tasks_with("contrast")
def test_a_contrast_is_an_instance_of_the_task(task: Task) -> None:
    batch, contrast = draw_contrast(task)
    assert contrast.tokens.min() >= 0
    assert contrast.tokens.max() < task.vocab_size
    for number, sequence in enumerate(contrast.sequence.tolist()[:24]):
        instance = with_tokens(batch.row(sequence), contrast.tokens[number : number + 1])
        np.testing.assert_array_equal(task.parse(task.format(instance)).tokens, instance.tokens)


@for_tasks_with("contrast")
def test_a_contrast_is_a_function_of_its_sequence(task: Task) -> None:
    batch, contrast = draw_contrast(task)
    order = np.random.default_rng(0).permutation(SEQUENCES)
    again = task.contrast(reorder(batch, order))
    assert again is not None
    back = np.argsort(order[again.sequence])
    np.testing.assert_array_equal(order[again.sequence][back], contrast.sequence)
    for name in ("tokens", "changed", "answer"):
        np.testing.assert_array_equal(getattr(again, name)[back], getattr(contrast, name))


# --- latents -------------------------------------------------------------------------------------------------------


@for_tasks_with("latents")
def test_latents_are_classes_or_vectors(task: Task) -> None:
    for name, values in task.latents(task.batch(0, 0, SEQUENCES)).items():
        assert name == name.strip().lower()
        assert values.shape[:2] == (SEQUENCES, task.length)
        if values.dtype == np.int64:
            assert values.ndim == 2
            assert values.min() >= -1
            assert len(np.unique(values)) > 1, f"{name} is a constant"
        else:
            assert (values.dtype, values.ndim) == (np.float64, 3)
            known = ~np.isnan(values)
            assert (known.all(axis=2) == known.any(axis=2)).all(), f"{name} is known in part"
            assert known.any()


@for_tasks_with("latents")
@pytest.mark.parametrize("suffix", ["of another sequence", "of random tokens"])
def test_latents_are_functions_of_the_prefix(task: Task, suffix: str) -> None:
    """Replace the tokens after the prefix, the roles and the answers by those of another sequence."""
    batch = task.batch(0, 0, SEQUENCES)
    other = reorder(batch, np.roll(np.arange(SEQUENCES), 1))
    if suffix == "of random tokens":
        tokens = np.random.default_rng(0).integers(task.vocab_size, size=batch.tokens.shape)
        other = with_tokens(other, tokens)
    expected = task.latents(batch)
    for position in range(task.length - 1):
        before = np.arange(task.length) <= position
        found = task.latents(with_tokens(other, np.where(before, batch.tokens, other.tokens)))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name][:, : position + 1], values[:, : position + 1], f"{name} at {position}")


# --- consistency ---------------------------------------------------------------------------------------------------


def determined_targets(task: Task, batch: Batch) -> np.ndarray:
    """Return which targets are determined by their prefix, at the default settings too."""
    usual = type(task)()
    determined = [
        role for role in task.roles[1:] if task.floor(role) == 0 and (role not in usual.roles or usual.floor(role) == 0)
    ]
    return np.isin(batch.roles, [task.role(role) for role in determined])


def answer_positions(task: Task, batch: Batch) -> np.ndarray:
    """Return the positions of answers; in a task without answers, of targets that their prefix determines."""
    if not task.has_answer:
        return determined_targets(task, batch)
    position_T = np.arange(task.length)
    return (position_T >= batch.answer[:, :1]) & (position_T < batch.answer[:, 1:])


@for_tasks_with("consistent")
def test_drawn_sequences_are_consistent(task: Task) -> None:
    tokens = task.batch(0, 0, SEQUENCES).tokens
    consistent = task.consistent(tokens)
    if consistent is not None:
        assert (consistent.shape, consistent.dtype) == (tokens.shape, np.bool_)
        assert consistent.all()


@for_tasks_with("consistent")
def test_a_wrong_token_is_inconsistent(task: Task) -> None:
    """Replace the token at each determined position of an answer; the positions before it must stay consistent."""
    batch = task.batch(0, 0, SEQUENCES)
    if task.consistent(batch.tokens) is None:
        pytest.skip("not known at these settings")
    position_T = np.arange(task.length)
    determined = answer_positions(task, batch) & determined_targets(task, batch)
    assert determined.any()
    shift = np.random.default_rng(0).integers(1, task.vocab_size, size=batch.tokens.shape)
    for position in np.flatnonzero(determined.any(axis=0)).tolist():
        wrong = np.where((position_T == position) & determined, (batch.tokens + shift) % task.vocab_size, batch.tokens)
        consistent = task.consistent(wrong)
        assert consistent is not None
        assert not consistent[determined[:, position], position].any(), position
        assert consistent[:, :position].all()


@for_tasks_with("consistent")
def test_consistency_is_a_function_of_the_prefix(task: Task) -> None:
    batch = task.batch(0, 0, SEQUENCES)
    rng = np.random.default_rng(0)
    position_T = np.arange(task.length)
    answers = answer_positions(task, batch) & (rng.random(batch.tokens.shape) < 0.3)
    wrong = np.where(answers, rng.integers(task.vocab_size, size=batch.tokens.shape), batch.tokens)
    expected = task.consistent(wrong)
    if expected is None:
        pytest.skip("not known at these settings")
    assert expected[~answer_positions(task, batch) & (batch.roles != 0)].all()  # a wrong answer may end at another position
    for position in range(task.length - 1):
        found = task.consistent(np.where(answers & (position_T > position), batch.tokens, wrong))
        assert found is not None
        np.testing.assert_array_equal(found[:, : position + 1], expected[:, : position + 1])


# --- roles ---------------------------------------------------------------------------------------------------------


def roles_of(task: Task, tokens: np.ndarray) -> np.ndarray:
    roles = task.roles_of(tokens)
    if roles is None:
        pytest.skip("tokens do not determine roles at these settings")
    return roles


@for_tasks_with("roles_of")
def test_drawn_sequences_have_the_roles_of_their_tokens(task: Task) -> None:
    for split in ("train", "test"):
        batch = task.batch(0, 0, SEQUENCES, split)
        np.testing.assert_array_equal(roles_of(task, batch.tokens), batch.roles)


@for_tasks_with("roles_of")
def test_roles_are_functions_of_the_prefix(task: Task) -> None:
    tokens = np.random.default_rng(0).integers(task.vocab_size, size=(SEQUENCES, task.length))
    roles, count = roles_of(task, tokens), task.length // 2 + 1
    assert roles.min() >= 0
    assert roles.max() < len(task.roles)
    prefix = roles_of(task, tokens[:, :count])
    assert prefix.shape == (SEQUENCES, count)
    known = prefix != 0
    np.testing.assert_array_equal(prefix[known], roles[:, :count][known])


# --- defaults ------------------------------------------------------------------------------------------------------


def test_by_default_a_task_has_no_answers_to_instruments() -> None:
    task = tasks.get("tests.helpers.users_task:Parity")
    batch = task.batch(0, 0, 4)
    assert (task.contrast(batch), task.latents(batch), task.joint(batch, 3)) == (None, {}, None)
    assert (task.consistent(batch.tokens), task.roles_of(batch.tokens)) == (None, None)


def test_a_choice_is_allowed_and_a_function_of_the_sequence() -> None:
    rng = np.random.default_rng(0)
    tokens, allowed = rng.integers(9, size=(6000, 5)), rng.random((6000, 7)) < 0.5
    allowed[:, 4] = True
    chosen = choose(tokens, allowed)
    assert allowed[np.arange(6000), chosen].all()
    np.testing.assert_array_equal(choose(tokens[::-1], allowed[::-1])[::-1], chosen)
    assert (choose(tokens, allowed, key=1) != chosen).mean() > 0.5
    counts = np.bincount(choose(tokens, np.tile([True, False, True], (6000, 1))), minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] - 3000) < 5 * np.sqrt(6000 / 4)
