"""Sequences of a corpus, checked by decoding them and encoding them again."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tasks
from tasks import SPLITS, Batch, Task, TaskError
from tasks.report import inspect_data
from tasks.stories.corpus.encoding import END, PAD
from tasks.stories.corpus.text import read_names, read_stories, split_of_story
from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW, LAST, SECOND_AGAIN, SECOND_NEW, WORD
from tests.helpers.stories import VOCABULARY, stories

NAMES = re.compile(rf"\b({'|'.join(read_names(None))})\b")


def story_of(task: Task, batch: Batch, row: int) -> str:
    """Decode a sequence, after a check of its end and padding."""
    tokens, roles = batch.tokens[row], batch.roles[row]
    (end,) = np.flatnonzero(roles == LAST)
    assert tokens[end] == END
    assert (tokens[end + 1 :] == PAD).all()
    assert (roles[end + 1 :] == 0).all()
    assert (roles[:end] > 0).all()
    return str(task._text.corpus.tokenizer.decode(tokens[:end].tolist()))


def test_training_has_the_stories_of_its_split_verbatim(task: Task, text: Path) -> None:
    batch = task.batch(0, 0, 400)
    own = {story for story in read_stories(str(text)) if split_of_story(story) == "train"}
    assert {story_of(task, batch, row) for row in range(400)} <= own
    assert len({story_of(task, batch, row) for row in range(400)}) > 200


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_has_stories_of_its_split_with_other_names(task: Task, text: Path, split: str) -> None:
    capital = re.compile(r"\b(?!I\b)[A-Z][a-z]+\b")
    own = {capital.sub("@", story): story for story in read_stories(str(text)) if split_of_story(story) == split}
    batch = task.batch(0, 0, 100, split)
    for row in range(100):
        story = story_of(task, batch, row)
        before, after = (capital.findall(each) for each in (own[capital.sub("@", story)], story))
        renamed = dict(zip(before, after, strict=True))
        assert [renamed[name] for name in before] == after, "a character keeps its name"
        assert all((name == renamed[name]) == (not NAMES.fullmatch(name)) for name in before)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_sequences_are_the_tokens_of_their_text(task: Task, split: str) -> None:
    tokenizer = task._text.corpus.tokenizer
    batch = task.batch(0, 1, 100, split)
    for row in range(100):
        again = tokenizer.encode(story_of(task, batch, row)).ids
        assert again == batch.tokens[row, : len(again)].tolist(), "a name has other than its two tokens"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_name_is_two_tokens_and_new_at_its_first_mention(task: Task, split: str) -> None:
    batch = task.batch(0, 2, 200, split)
    bare = 0
    for row in range(200):
        tokens, roles = batch.tokens[row].tolist(), batch.roles[row].tolist()
        second_of: dict[int, int] = {}
        people: dict[str, int] = {}
        for position, role in enumerate(roles):
            if role in (FIRST_NEW, FIRST_AGAIN):
                assert roles[position + 1] == (SECOND_NEW if role == FIRST_NEW else SECOND_AGAIN)
                first, second = tokens[position : position + 2]
                assert (role == FIRST_AGAIN) == (first in second_of)
                assert second_of.setdefault(first, second) == second, "the first token determines the second"
                stem = task.word(first).removeprefix("Ġ")
                assert people.setdefault(stem, second) == second, "a character has one name"
                bare += not task.word(first).startswith("Ġ")
            else:
                assert role in (WORD, LAST, 0) or roles[position - 1] in (FIRST_NEW, FIRST_AGAIN)
    assert bare > 20, "names after quotation marks were tested too"


def pairs_of(task: Task, split: str) -> set[tuple[int, int]]:
    """Return pairs of first and second tokens of names; in training, all pairs of neighbouring tokens."""
    found: set[tuple[int, int]] = set()
    for index in range(8):
        batch = task.batch(1, index, 200, split)
        row, position = np.nonzero(
            batch.roles[:, :-1] > 0 if split == "train" else np.isin(batch.roles, [FIRST_NEW, FIRST_AGAIN])
        )
        found |= set(zip(batch.tokens[row, position].tolist(), batch.tokens[row, position + 1].tolist(), strict=True))
    return found


def test_splits_share_no_name(task: Task) -> None:
    pairs = {split: pairs_of(task, split) for split in SPLITS}
    assert len(pairs["validation"]) > 50
    assert len(pairs["test"]) > 50
    assert not pairs["validation"] & pairs["test"]
    assert not pairs["train"] & (pairs["validation"] | pairs["test"])


def test_some_second_tokens_never_occur_in_training(task: Task) -> None:
    known = np.unique(np.concatenate([task.batch(0, index, 200).tokens.ravel() for index in range(30)]))
    seconds = {second for _, second in pairs_of(task, "test")}
    assert len(seconds - set(known.tolist())) == 4  # a tenth of 32, rounded up
    assert task._text.corpus.counts[list(seconds - set(known.tolist()))].sum() == 0
    every = tasks.get("stories", **{**task.settings, "unseen": 0.0})
    assert every._text.corpus.counts[[second for _, second in pairs_of(every, "test")]].min() > 0


def test_excluded_stories_are_counted_by_reason(task: Task, text: Path) -> None:
    short = tasks.get("stories", **{**task.settings, "length": 170})
    tokenizer = task._text.corpus.tokenizer
    for split in SPLITS:
        own = [story for story in read_stories(str(text)) if split_of_story(story) == split]
        longer = sum(len(tokenizer.encode(story).ids) + 1 > 170 for story in own)
        facts = {name.partition(": ")[2]: count for name, count in short.facts().items() if name.startswith(split)}
        assert facts["stories"] == len(own)
        if split == "train":
            assert facts["longer than 170 tokens"] == longer > 20
            assert facts["stories that take part"] == len(own) - longer
        else:
            assert facts["without a name"] == sum(not NAMES.search(story) for story in own)
            assert facts["stories that take part"] >= facts["stories"] - sum(list(facts.values())[2:])
    assert inspect_data(short, 20).facts == short.facts()
    assert (short.batch(0, 0, 500).roles == LAST).any(axis=1).all(), "no story is cut"


def test_the_longest_story_may_fill_the_sequence(text: Path, task: Task) -> None:
    lengths = task._text.corpus.splits["train"].lengths
    exact = tasks.get("stories", **{**task.settings, "length": int(lengths.max())})
    assert exact.facts()["train: stories that take part"] == len(lengths)
    filled = exact.batch(0, 0, 2000).roles[:, -1]
    assert set(filled.tolist()) == {0, LAST}


def test_stories_are_drawn_evenly(task: Task) -> None:
    kept = len(task._text.kept["train"])
    drawn = Counter(sequence.tobytes() for index in range(20) for sequence in task.batch(0, index, 500).tokens)
    counts = np.array(list(drawn.values()))
    assert len(counts) == kept
    assert abs(counts - 10_000 / kept).max() < 6 * np.sqrt(10_000 / kept)


def test_a_share_of_training_comes_from_the_mix(task: Task, tmp_path: Path) -> None:
    other = "xyzzy plugh. " * 4000
    (tmp_path / "books.txt").write_text(other)
    mixed = tasks.get("stories", **{**task.settings, "mix": str(tmp_path / "books.txt"), "mix_share": 0.25})
    batch = mixed.batch(0, 0, 2000)
    window = (batch.roles == WORD).all(axis=1)
    assert window.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.1875 / 2000))
    tokenizer = task._text.corpus.tokenizer
    texts = [tokenizer.decode(tokens.tolist()) for tokens in batch.tokens[window][:50]]
    assert all(each in other for each in texts)
    assert len(set(texts)) > 1
    for row in np.flatnonzero(~window)[:20]:
        assert "xyzzy" not in story_of(mixed, batch, int(row))
    for split in ("validation", "test"):
        other_batch = mixed.batch(0, 0, 50, split)
        assert all("xyzzy" not in story_of(mixed, other_batch, row) for row in range(50))
    assert mixed._text.corpus.folder == task._text.corpus.folder, "the tokenizer does not depend on the mixture"


def test_the_mix_shows_no_name_of_the_evaluation(task: Task, tmp_path: Path) -> None:
    tokenizer = task._text.corpus.tokenizer
    held_back = sorted(pairs_of(task, "test"))
    (tmp_path / "books.txt").write_text(" ".join(tokenizer.decode(list(pair)).strip() for pair in held_back) * 40)
    mixed = tasks.get("stories", **{**task.settings, "mix": str(tmp_path / "books.txt"), "unseen": 0.0})
    tokens = np.concatenate([mixed.batch(0, index, 200).tokens for index in range(3)])
    shown = set(zip(tokens[:, :-1].ravel().tolist(), tokens[:, 1:].ravel().tolist(), strict=True))
    assert shown & set(held_back)
    for split in ("validation", "test"):
        assert not shown & pairs_of(mixed, split)
    with pytest.raises(TaskError, match=r"stories.unseen must be at most .* never occur in training"):
        tasks.get("stories", **{**mixed.settings, "unseen": 0.5})


def test_names_can_be_given(text: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Anna\nBen David\n")
    task = tasks.get("stories", corpus=str(text), vocabulary=VOCABULARY, length=256, names_file=str(tmp_path / "names.txt"))
    batch = task.batch(0, 0, 100, "test")
    for row in range(100):
        assert not re.search(r"\b(Anna|Ben|David)\b", story_of(task, batch, row))
    renamed = " ".join(story_of(task, batch, row) for row in range(100))
    assert re.search(r"\b(Mia|Sara|Leo|Noah)\b", renamed), "names that are not in the list stay"


def test_vocabulary_is_exact_and_words_are_its_tokens(task: Task) -> None:
    assert task.vocab_size == task._text.corpus.tokenizer.get_vocab_size() == VOCABULARY
    words = [task.word(token) for token in range(VOCABULARY)]
    assert len(set(words)) == VOCABULARY
    assert words[PAD], words[END] == ("<|pad|>", "<|endofstory|>")


def test_the_text_of_a_special_token_is_ordinary_text(cache: Path, tmp_path: Path) -> None:
    texts = [f"{story} <|pad|> and <|endofstory|> were here." for story in stories(200)]
    (tmp_path / "c.txt").write_text("\n<|endoftext|>\n".join(texts))
    task = tasks.get("stories", corpus=str(tmp_path / "c.txt"), vocabulary=VOCABULARY, length=300)
    batch = task.batch(0, 0, 50)
    assert all(story_of(task, batch, row) in texts for row in range(50))


def test_text_is_encoded_by_the_tokenizer(task: Task) -> None:
    words = [task.word(token) for token in task.encode(" the park").tolist()]
    assert "".join(words).replace("Ġ", " ") == " the park"
