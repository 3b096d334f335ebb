import numpy as np
import pytest

import tasks
from tasks import SPLITS, Batch, Task
from tasks.stories.roles import FIRST_AGAIN, FIRST_NEW


def names_in(task: Task, batch: Batch) -> list[set[int]]:
    """Return the pairs of name tokens in each story, found by roles."""
    first, second = task._tables.first_token, task._tables.second_token
    found = []
    for tokens, roles in zip(batch.tokens, batch.roles, strict=True):
        positions = np.flatnonzero(roles == FIRST_NEW)
        found.append(set(((tokens[positions] - first) * task.second_names + tokens[positions + 1] - second).tolist()))
    return found


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("fresh", [0.0, 0.5])
def test_a_contrast_renames_a_character_within_its_split(split: str, fresh: float) -> None:
    task = tasks.get("stories", fresh=fresh)
    drawn = {pair for index in range(20) for story in names_in(task, task.batch(1, index, 256, split)) for pair in story}
    fixed = set(task.pairs("train").tolist())
    batch = task.batch(0, 0, 128, split)
    contrast = task.contrast(batch)
    assert contrast is not None
    assert len(contrast.sequence) > 120
    kept = Batch(**{name: getattr(batch, name)[contrast.sequence] for name in ("tokens", "roles", "scored", "answer")})
    renamed = Batch(tokens=contrast.tokens, roles=kept.roles, scored=kept.scored, answer=kept.answer)
    np.testing.assert_array_equal(task.roles_of(contrast.tokens), kept.roles)
    for number, (old, new) in enumerate(zip(names_in(task, kept), names_in(task, renamed), strict=True)):
        (removed,), (added,) = old - new, new - old
        assert removed // task.second_names == added // task.second_names, "the first name stays"
        assert added in drawn
        assert split != "train" or (old <= fixed) == (new <= fixed), "all names of a story are fixed, or all are fresh"
        differs = np.flatnonzero(kept.tokens[number] != renamed.tokens[number])
        assert differs[:2].tolist() == [contrast.changed[number], contrast.answer[number]]
        theirs = np.flatnonzero(kept.tokens[number] == kept.tokens[number, differs[0] - 1])
        np.testing.assert_array_equal(differs, theirs + 1)


def test_the_second_name_is_known_at_a_repeated_first_name() -> None:
    task = tasks.get("stories")
    batch = task.batch(0, 0, 100)
    following = np.roll(batch.tokens, -1, axis=1) - task._tables.second_token
    expected = np.where(batch.roles == FIRST_AGAIN, following, -1)
    np.testing.assert_array_equal(task.latents(batch)["second name"], expected)


def test_a_corpus_answers_no_instrument(corpus_task: Task) -> None:
    batch = corpus_task.batch(0, 0, 4)
    assert corpus_task.contrast(batch) is None
    assert corpus_task.latents(batch) == {}
