import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks import Task, TaskError
from tasks.core.splits import split_of
from tests.helpers.enumeration import assert_joints_are_exact
from tests.helpers.lines import assert_read_back
from tests.helpers.users_walk import Walk

STAR = {"name": "star", "arm": 4, "form": "public"}


@st.composite
def spellings(draw: st.DrawFn) -> Task:
    inner = draw(st.sampled_from(["induction", "stories", "recall", "star", "modular"]))
    words = tasks.get(inner).vocab_size
    base = draw(st.integers(2, 9))
    needed = math.ceil(round(math.log(words, base), 9))
    return tasks.get("spelled", task=inner, base=base, symbols=draw(st.integers(needed, needed + 1)))


@given(spellings(), st.integers(0, 2**60))
@settings(max_examples=25, deadline=None)
def test_sequences_are_inner_sequences_spelled_by_the_code(task: Task, seed: int) -> None:
    inner, k = task.task, task.symbols
    spelled, plain = (each.draw(np.random.default_rng(seed), 3, "train") for each in (task, inner))
    assert spelled.tokens.shape == (3, k * inner.length)
    for row, position in itertools.product(range(3), range(spelled.tokens.shape[1])):
        assert spelled.tokens[row, position] == task.code[plain.tokens[row, position // k]][position % k]
        role = inner.roles[plain.roles[row, position // k]]
        assert task.roles[spelled.roles[row, position]] == ("-" if role == "-" else f"{role}/{1 + position % k}")
        assert spelled.scored[row, position] == plain.scored[row, position // k]
    np.testing.assert_array_equal(spelled.answer, plain.answer * k)
    read, spelt = task.read(spelled.tokens)
    np.testing.assert_array_equal(read, plain.tokens)
    assert spelt.all()


@given(spellings())
@settings(max_examples=25, deadline=None)
def test_no_two_tokens_have_the_same_spelling(task: Task) -> None:
    assert len({tuple(row) for row in task.code.tolist()}) == len(task.code) == task.task.vocab_size
    assert task.code.min() >= 0
    assert task.code.max() < task.base


def test_invalid_spellings_are_recognised() -> None:
    task = tasks.get("spelled", base=4, symbols=3)  # 32 of 64 spellings are tokens
    every = np.array(list(itertools.product(range(4), repeat=3)))
    _, spelt = task.read(every)
    assert {tuple(row) for row in every[spelt[:, 0]].tolist()} == {tuple(row) for row in task.code.tolist()}


@pytest.mark.parametrize("inner", ["induction", "recall", "star", "modular"])
def test_an_instance_is_in_the_split_of_the_inner_task(inner: str) -> None:
    task = tasks.get("spelled", task=inner, base=5, symbols=3)
    for number, split in enumerate(tasks.SPLITS):
        sequences = task.batch(0, 0, 64, split).tokens
        canonical = task.task.instances(task.read(sequences)[0])
        np.testing.assert_array_equal(task.instances(sequences), canonical)
        if task.splits_itself:
            assert np.isin(canonical @ [task.task.p, 1], task.task.pairs(split)).all()
        else:
            assert (split_of(canonical) == number).all()


def test_optimal_losses_of_symbols_sum_to_that_of_tokens() -> None:
    task = tasks.get("spelled", task={"name": "induction", "vocabulary": 3, "period": (1, 2), "length": 4}, base=2, symbols=2)
    distribution: dict[tuple[int, ...], float] = {}
    for period in (1, 2):
        for segment in itertools.permutations(range(3), period):
            sequence = tuple(task.code[[segment[position % period] for position in range(4)]].ravel().tolist())
            distribution[sequence] = distribution.get(sequence, 0) + 1 / 2 / math.perm(3, period)
    optimum = task.token_optimum(np.array(list(distribution)))
    for sequence, losses in zip(distribution, optimum, strict=True):
        masses = [sum(mass for other, mass in distribution.items() if other[:end] == sequence[:end]) for end in range(9)]
        by_symbol = -np.log(np.array(masses[1:]) / masses[:-1])
        np.testing.assert_allclose(by_symbol.reshape(4, 2).sum(axis=1), losses, atol=1e-12)
    assert tasks.get("spelled", task="star").token_optimum(np.zeros((1, 34), dtype=np.int64)) is None


def test_floors_are_zero_if_those_of_tokens_are() -> None:
    task = tasks.get("spelled", base=4, symbols=3)
    assert [task.floor(f"copy/{position}") for position in (1, 2, 3)] == [0, 0, 0]
    assert [task.floor(f"new/{position}") for position in (1, 2, 3)] == [None] * 3
    one = tasks.get("spelled", base=40, symbols=1)
    assert one.floor("new/1") == one.task.floor("new")
    assert one.chance("new/1") == one.task.chance("new")
    assert one.floor("-") is one.chance("-") is task.chance("new/1") is None
    with pytest.raises(TaskError, match="no role"):
        task.floor("new")


def test_answers_lines_and_headline_are_those_of_the_inner() -> None:
    task = tasks.get("spelled", task=STAR, base=3, symbols=4)
    assert (task.has_answer, task.headline) == (True, "accuracy/turn/1")
    assert tasks.get("spelled", task={"name": "modular", "spelled": True}).headline == "exact"
    batch = task.batch(0, 0, 20, "test")
    assert_read_back(task, batch)
    for row in range(20):
        line = task.format(batch.row(row))
        assert task.task.format(task.task.parse(line)) == line
    with pytest.raises(TaskError, match="the path must be"):
        task.parse("3,1|7,2|2,5|7,3|5,8|1,0/7,8=7,3,1,0")


@pytest.mark.parametrize(("base", "symbols"), [(2, 3), (3, 2), (5, 1)])
def test_joints_of_symbols_agree_with_enumeration(base: int, symbols: int) -> None:
    inner = {"name": "induction", "vocabulary": 4, "period": [1, 2], "length": 5}
    task = tasks.get("spelled", task=inner, base=base, symbols=symbols)
    sequences = np.array([[a, b, a, b, a] for a, b in itertools.product(range(4), repeat=2)])
    chances = np.where(sequences[:, 0] == sequences[:, 1], 1 / 8, 1 / 24)
    assert_joints_are_exact(task, task.code[sequences].reshape(16, -1), chances, range(symbols - 1, task.length - 2))
    assert task.next_distribution(task.code[sequences].reshape(16, -1)[:, : symbols - 1]) is None


@pytest.mark.parametrize("inner", ["recall", "polynomial", "markov"])
def test_latents_are_inner_ones_from_each_last_symbol_on(inner: str) -> None:
    plain = tasks.get(inner)
    task = tasks.get("spelled", task=inner, base=6, symbols=3)
    batch = plain.draw(np.random.default_rng(0), 8, "train")
    spelled = task.latents(task.spell(batch))
    for name, values in plain.latents(batch).items():
        assert (spelled[name].dtype, spelled[name].shape[2:]) == (values.dtype, values.shape[2:])
        for symbol in range(2, task.length):
            np.testing.assert_array_equal(spelled[name][:, symbol], values[:, (symbol + 1) // 3 - 1])
        unknown = spelled[name][:, :2]
        assert (np.isnan(unknown) | (unknown == -1)).all()


def test_a_contrast_is_an_inner_one_that_differs_in_one_symbol() -> None:
    task = tasks.get("spelled", task="agreement", base=8, symbols=2)
    batch = task.batch(0, 0, 200)
    inner = task.task.contrast(task._unspell(batch))
    contrast = task.contrast(batch)
    assert 0 < len(contrast.sequence) < 200
    kept = np.searchsorted(inner.sequence, contrast.sequence)
    np.testing.assert_array_equal(task.read(contrast.tokens)[0], inner.tokens[kept])
    np.testing.assert_array_equal(contrast.changed // 2, inner.changed[kept])
    np.testing.assert_array_equal(contrast.answer // 2, inner.answer[kept])
    old = batch.tokens[contrast.sequence]
    for number, (changed, answer) in enumerate(zip(contrast.changed, contrast.answer, strict=True)):
        differs = np.flatnonzero(old[number] != contrast.tokens[number]).tolist()
        assert differs[:2] == [changed, answer]


def test_consistency_of_single_symbols_is_that_of_the_inner() -> None:
    inner = tasks.get("star")
    task = tasks.get("spelled", task="star", base=13, symbols=1)  # one of the 13 symbols spells no node
    tokens = inner.batch(0, 0, 100).tokens
    tokens[:, -2] = np.roll(tokens[:, -2], 1)
    symbols = task.code[tokens][:, :, 0]
    np.testing.assert_array_equal(task.consistent(symbols), inner.consistent(tokens))
    symbols[:, -1] = np.setdiff1d(np.arange(13), task.code)
    assert not task.consistent(symbols)[:, -1].any()
    longer = tasks.get("spelled", task="star")
    assert longer.consistent(longer.batch(0, 0, 4).tokens) is None


def test_the_inner_task_selects_the_scored_targets() -> None:
    narrow, wide = (tasks.get("spelled", task={"name": "star", "loss_on": loss_on}) for loss_on in ("answer", "all"))
    position = np.arange(narrow.length)
    batches = [task.batch(0, 0, 4) for task in (narrow, wide)]
    np.testing.assert_array_equal(batches[0].tokens, batches[1].tokens)
    begin = batches[0].answer[0, 0]
    assert (batches[0].scored == (position >= begin)).all()
    assert batches[1].scored.all()
    np.testing.assert_array_equal(replace(wide, loss_on="answer").batch(0, 0, 4).scored, batches[0].scored)


@pytest.mark.parametrize("prompt", [[0], [0, 1, 2, 3, 3, 3, 3]])
def test_prompts_that_are_no_tokens_are_rejected(prompt: list[int]) -> None:
    with pytest.raises(TaskError, match="spelled: the prompt is not tokens of star, 2 symbols each"):
        tasks.get("spelled", task="star").solve(np.array(prompt))


def test_variants_are_spelled_by_the_same_code() -> None:
    task = tasks.get("spelled", task={"name": "induction", "test_period": (28, 30)})
    far = task.variants()["far"]
    np.testing.assert_array_equal(far.code, task.code)
    assert ((far.batch(0, 0, 50, "test").roles == far.role("new/1")).sum(axis=1) >= 28).all()


def test_the_inner_task_judges_and_forces_sampled_symbols() -> None:
    walk = Walk()
    task = tasks.get("spelled", task=walk, base=3, symbols=3)  # 16 of 27 spellings are nodes
    assert task.sampled_from == 3
    sequences = task.batch(0, 0, 10, "test").tokens
    assert task.judge(sequences) == {"legal": 1.0, "spelt": 1.0}
    wrong = next(each for each in itertools.product(range(3), repeat=3) if list(each) not in task.code.tolist())
    sequences[:4, 6:9] = wrong
    assert task.judge(sequences) == {"legal": pytest.approx(0.6), "spelt": pytest.approx(0.6)}
    sequences[:, 6:9] = wrong
    assert task.judge(sequences) == {"legal": 0.0, "spelt": 0.0}
    plain = walk.batch(0, 0, 10, "test").tokens
    spelled = task.code[plain].reshape(10, -1)
    for position in range(3, task.length):
        forced, inner = task.forced(spelled[:, :position]), walk.forced(plain[:, : position // 3])
        expected = [-1 if token < 0 else task.code[token, position % 3] for token in inner.tolist()]
        assert forced.tolist() == expected
    assert tasks.get("spelled").forced(sequences) is None
    assert tasks.get("spelled").judge(sequences) == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"base": 1}, "base must be between 2"),
        ({"base": 4}, "symbols must be at least 3, to distinguish the 32 tokens of induction in base 4, not 2"),
        ({"symbols": 7}, "at most 6 in base 8"),
        ({"symbols": 0}, "at least 1"),
        ({"base": 2, "symbols": 9, "task": "stories"}, "at least 10, to distinguish the 5.. tokens of stories in base 2"),
        ({"base": 2, "symbols": 21, "task": "stories"}, "at most 20 in base 2"),
        ({"task": "inductoin"}, r"spelled\.task: unknown task 'inductoin'; did you mean 'induction'"),
        ({"task": {"vocabulary": 3}}, r"spelled\.task: task must have a name"),
        ({"task": {"name": "induction", "vocabulary": 1}}, r"induction\.vocabulary must be at least 2"),
        ({"task": {"name": "induction", "nonsense": 1}}, "no setting 'nonsense'"),
        ({"task": 3}, r"spelled\.task: task must be a name, or a mapping"),
        ({"loss_on": "answer"}, "there is no answer"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("spelled", **wrong)


def test_the_fingerprint_depends_on_that_of_the_inner_task() -> None:
    task = tasks.get("spelled", task=STAR)
    assert task.description["task"]["form"] == "public"
    assert tasks.from_description(task.description) == task
    others = (replace(task, base=5), tasks.get("spelled", task={**STAR, "degree": 3, "nodes": 20}), tasks.get("spelled"))
    assert len({each.fingerprint for each in (task, *others)}) == 4
    assert tasks.get("spelled", task={**STAR, "loss_on": "all"}).fingerprint == task.fingerprint
