"""A small corpus from the grammar of the task `stories`, in place of real text."""

import re

import tasks

VOCABULARY = 480
"""Size of a BPE vocabulary that a text of this length supports."""


def stories(count: int, seed: int = 0) -> list[str]:
    """Return stories as text; each character has one name."""
    grammar = tasks.get("stories")
    batch = grammar.batch(seed, 0, count)
    texts = []
    for number in range(count):
        words = [word for word, role in grammar.show(batch, number) if not role.startswith("second") and role != "end"]
        texts.append(re.sub(r" ([.,!?])", r"\1", " ".join(words)))
    return texts
