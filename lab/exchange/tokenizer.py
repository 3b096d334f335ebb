"""A task's vocabulary as the files of a tokenizer."""

from __future__ import annotations

from typing import Any

from lab.evaluation.drafts import find_end_token
from tasks import Task


def tokenizer_json(task: Task) -> str | None:
    """Return a `tokenizer.json` that reads and writes a task's tokens: the task's own, else one word for each token.

    None if neither has exactly the task's tokens, as where two tokens are the same word.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [task.word(token) for token in range(task.vocab_size)]
    own = task.artifacts().get("tokenizer.json")
    if own is not None and _words(Tokenizer.from_str(own)) == words:
        return own
    if len(set(words)) < len(words) or any(word.split() != [word] for word in words):
        return None
    tokenizer: Any = Tokenizer(models.WordLevel({word: token for token, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str(pretty=True))


def tokenizer_config(task: Task) -> dict[str, Any]:
    """Return the `tokenizer_config.json` beside it."""
    end = find_end_token(task)
    ends = {} if end is None else {"eos_token": task.word(end), "pad_token": task.word(end)}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": task.length,
        "clean_up_tokenization_spaces": False,
        **ends,
    }


def _words(tokenizer: Any) -> list[str | None]:
    return [tokenizer.id_to_token(token) for token in range(tokenizer.get_vocab_size())]
