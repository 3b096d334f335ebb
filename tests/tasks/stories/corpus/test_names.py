"""Names that replace those of stories in evaluation, and what cannot be a name."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import Task, TaskError
from tasks.stories.corpus.encoding import encode_stories, name_pattern
from tasks.stories.corpus.names import Pool, choose_names, find_affixes, find_neighbours
from tasks.stories.roles import WORD

SIZES = {"firsts": 32, "seconds": 32, "unseen": 0.1}


def names_of(chosen: Pool) -> set[tuple[int, int]]:
    """Return (stem without blank, tail) of every name."""
    return {
        (first, int(second))
        for split, ids in chosen.second_ids.items()
        for first, seconds, count in zip(chosen.first_ids[1].tolist(), ids, chosen.counts[split], strict=True)
        for second in seconds[:count]
    }


def test_neighbours_agree_with_a_search_over_all_pairs(task: Task) -> None:
    corpus = task._text.corpus
    parts = find_affixes(corpus.tokenizer.get_vocab())
    codes = corpus.splits["train"].codes[:20_000]
    pairs = set(itertools.pairwise(codes.tolist()))
    found = find_neighbours(codes, parts, task.vocab_size)
    assert found.any()
    for (row, stem), (column, tail) in itertools.product(
        enumerate(parts.stem_ids.T.tolist()), enumerate(parts.tail_ids.tolist())
    ):
        assert found[row, column] == any((first, tail) in pairs for first in stem)


def test_names_never_occur_as_neighbours_in_training(task: Task) -> None:
    corpus = task._text.corpus
    parts = find_affixes(corpus.tokenizer.get_vocab())
    free = choose_names(corpus.tokenizer, corpus.counts, np.zeros_like(corpus.together), **SIZES)
    taken = names_of(free)
    some = np.zeros_like(corpus.together)
    stems, tails = parts.stem_ids[1].tolist(), parts.tail_ids.tolist()
    for first, second in sorted(taken)[::3]:
        some[stems.index(first), tails.index(second)] = True
    assert names_of(choose_names(corpus.tokenizer, corpus.counts, some, **SIZES)) == taken - set(sorted(taken)[::3])
    with pytest.raises(TaskError, match="too few names of two tokens"):
        choose_names(corpus.tokenizer, corpus.counts, np.ones_like(corpus.together), **SIZES)


def test_names_of_a_cast_are_of_its_split_and_differ(task: Task) -> None:
    chosen = task._text.names
    for number, split in enumerate(("validation", "test")):
        firsts, seconds = chosen.cast(np.random.default_rng(number), 500, 4, split)
        assert all(len(set(row)) == 4 for row in firsts[0].tolist())
        own = {
            (first, int(second))
            for first, ids, count in zip(
                chosen.first_ids[0].tolist(), chosen.second_ids[split], chosen.counts[split], strict=True
            )
            for second in ids[:count]
        }
        assert set(zip(firsts[0].ravel().tolist(), seconds.ravel().tolist(), strict=True)) <= own


PIECES = [
    " ",
    "  ",
    "\n",
    "\t",
    "\u00a0",
    '"',
    "'",
    "\u201c",
    "-",
    ".",
    "'s",
    "_",
    "1",
    "\u00e9",
    "\u0301",
    "\u65e5\u672c",
    "Tom",
    "Anna",
    "Tommy",
    "and",
    "I'm",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map("".join))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_can_replace_another_anywhere(task: Task, text: str) -> None:
    tokenizer, chosen = task._text.corpus.tokenizer, task._text.names
    pattern = name_pattern(["Tom", "Anna", "Tommy"])
    (story,) = encode_stories(tokenizer, [text], pattern, placeholders=True)
    (as_it_is,) = encode_stories(tokenizer, [text], pattern, placeholders=False)
    assert as_it_is.codes == tokenizer.encode(text).ids
    seen = list(dict.fromkeys(pattern.findall(text)))
    assert story.characters == as_it_is.characters == len(seen)
    firsts, seconds = chosen.first_ids[:, : len(seen)], chosen.second_ids["test"][: len(seen), 0]
    spelt = [tokenizer.decode([first, second]) for first, second in zip(firsts[1], seconds, strict=True)]
    renamed = pattern.sub(lambda match: spelt[seen.index(match.group())], text)
    ids = [
        each if each < task.vocab_size else resolve_placeholder(each - task.vocab_size, firsts, seconds) for each in story.codes
    ]
    assert ids == tokenizer.encode(renamed).ids
    assert sum(role != WORD for role in story.roles) == 2 * len(pattern.findall(text))


def resolve_placeholder(number: int, firsts: np.ndarray, seconds: np.ndarray) -> int:
    """Return the token for a placeholder, which encodes character, missing space, and whether it is the second token."""
    character, bare, second = number // 4, number // 2 % 2, number % 2
    return int(seconds[character] if second else firsts[bare, character])
