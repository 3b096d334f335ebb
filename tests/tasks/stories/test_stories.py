import itertools

import numpy as np
import pytest

import tasks
from tasks import SPLITS, TaskError
from tasks.stories import grammar
from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW, SECOND_AGAIN, SECOND_NEW

STORIES = tasks.get("stories")


def names_of(task: tasks.Task, batch: tasks.Batch, row: int) -> list[tuple[str, str, bool]]:
    """Return (first name, second name, seen before) of each mention."""
    shown = task.show(batch, row)
    found = []
    for (word, role), (following, next_role) in itertools.pairwise(shown):
        if role.startswith("first_"):
            assert next_role == role.replace("first", "second")
            found.append((word, following, role == "first_again"))
    return found


def test_the_grammar_has_its_least_numbers_of_sentences() -> None:
    sentences = [telling for plot in grammar.PLOTS.values() for beat in plot for telling in beat]
    assert len(set(sentences)) >= 40
    assert len(STORIES._tables.words) - STORIES.first_names - STORIES.second_names >= 400
    assert all(sentence.split().count("X") == sentence.split().count("Y") == 1 for sentence in sentences)


@pytest.mark.parametrize("split", SPLITS)
def test_numbers_of_characters_and_mentions_are_in_range(split: str) -> None:
    batch = STORIES.batch(0, 0, 300, split)
    sizes = set()
    for row in range(300):
        names = names_of(STORIES, batch, row)
        people = {(first, second) for first, second, _ in names}
        assert len({first for first, _ in people}) == len(people)
        counts = [sum((first, second) == person for first, second, _ in names) for person in people]
        assert 3 <= min(counts) <= max(counts) <= 8
        seen: set[tuple[str, str]] = set()
        for first, second, again in names:
            assert again == ((first, second) in seen)
            seen.add((first, second))
        sizes.add(len(people))
    assert sizes == {2, 3, 4}


def draw_pairs(task: tasks.Task, split: str, batches: int = 20) -> set[tuple[str, str]]:
    drawn = (task.batch(1, index, 256, split) for index in range(batches))
    found = set()
    for batch in drawn:
        row, positions = np.nonzero(batch.roles == FIRST_NEW)
        firsts, seconds = batch.tokens[row, positions], batch.tokens[row, positions + 1]
        found |= set(zip(firsts.tolist(), seconds.tolist(), strict=True))
    return {(task.word(first), task.word(second)) for first, second in found}


@pytest.mark.parametrize("fresh", [0.0, 0.5])
def test_names_of_training_never_occur_in_other_splits(fresh: float) -> None:
    task = tasks.get("stories", fresh=fresh)
    drawn = {split: draw_pairs(task, split) for split in SPLITS}
    assert not drawn["train"] & drawn["validation"]
    assert not drawn["train"] & drawn["test"]
    assert not drawn["validation"] & drawn["test"]
    fixed = {
        (task.word(task._tables.first_token + pair // 32), task.word(task._tables.second_token + pair % 32))
        for pair in task.pairs("train")
    }
    assert len(fixed) == task.names
    assert (drawn["train"] <= fixed) == (fresh == 0)


def test_some_name_tokens_never_occur_in_training() -> None:
    known = draw_pairs(STORIES, "train", 40)
    tested = draw_pairs(STORIES, "test", 40)
    for index in (0, 1):
        train_tokens, test_tokens = ({pair[index] for pair in pairs} for pairs in (known, tested))
        assert len(train_tokens) == 28  # a tenth of 32, rounded up, is unseen
        assert len(test_tokens - train_tokens) == 4


def test_the_share_of_stories_with_fresh_names_is_as_set() -> None:
    task = tasks.get("stories", fresh=0.3)
    batch = task.batch(0, 0, 3000)
    fixed = set(task.pairs("train").tolist())
    positions = (batch.roles == FIRST_NEW).argmax(axis=1)
    rows = np.arange(len(batch))
    pair = (
        (batch.tokens[rows, positions] - task._tables.first_token) * 32
        + batch.tokens[rows, positions + 1]
        - task._tables.second_token
    )
    share = np.mean([each not in fixed for each in pair.tolist()])
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 3000))


def test_the_floor_of_names_agrees_with_enumeration() -> None:
    entropies, mentions = [], []
    for characters in (2, 3, 4):
        for helper in (0, 1):
            free = [finder for finder in (2, 3) if finder % characters != helper % characters]
            entropies.append(np.log(2) + np.log(len(free)))
            mentions.append(16 - characters)
    assert STORIES.floor("first_again") == pytest.approx(sum(entropies) / sum(mentions))
    assert STORIES.floor("second_again") == STORIES.floor("end") == 0
    assert STORIES.floor("first_new") is None


def test_copying_predicts_the_second_token_of_repeated_names() -> None:
    batch = STORIES.batch(0, 1, 200, "test")
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        follows = {}
        for position in np.flatnonzero(np.isin(roles, [SECOND_NEW, SECOND_AGAIN])):
            if roles[position] == SECOND_AGAIN:
                assert roles[position - 1] == FIRST_AGAIN
                assert follows[tokens[position - 1]] == tokens[position]
            follows[tokens[position - 1]] = tokens[position]


def test_pronouns_fit_their_character() -> None:
    batch = STORIES.batch(0, 2, 300)
    girls = set(grammar.FIRST_NAMES.split()[0::2])
    checked = 0
    for row in range(300):
        text = " ".join(word for word, _ in STORIES.show(batch, row))
        for sentence in text.split(" . "):
            for marker in (", so she ", ", so he "):
                if marker in sentence:
                    speaker = next(word for word in sentence.split() if word in grammar.FIRST_NAMES.split())
                    assert (speaker in girls) == (marker == ", so she ")
                    checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"characters": (1, 4)}, "characters"),
        ({"characters": (2, 5)}, "characters"),
        ({"names": 3}, "names"),
        ({"names": 2, "characters": (2, 2)}, r"names must be large enough for 4 different first names \(2 here\), not 2"),
        ({"names": 100_000}, "names"),
        ({"unseen": 0.9}, "unseen"),
        ({"fresh": -0.1}, "fresh"),
        ({"length": 60}, "the longest story"),
        ({"first_names": 4}, "first_names"),
        ({"second_names": 9999}, "second_names"),
        ({"first_names": 8, "second_names": 8}, r"second_names must be so large .* 68 pairs of seen tokens \(49\), not 8"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("stories", **wrong)


def test_large_pools_get_different_invented_names() -> None:
    words = tasks.get("stories", first_names=300, second_names=300, names=2000)._tables.words
    assert len(set(words)) == len(words)
