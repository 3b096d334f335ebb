"""The ceiling of independent drafts: decoding with prediction heads that know the exact distribution of each token.

An independent prediction head cannot know which tokens head 1 will choose before its own. The best that head i can learn is the
distribution of the token i positions ahead given the prefix alone, averaged over the tokens between. Its drafts fail where the
mode of this average differs from head 1's path. A task with a known distribution gives both exactly.

B sequences, T positions, V vocabulary, I prediction heads that draft: heads 2 to `heads`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.errors import LabError
from tasks import Task


def distributions_ahead(task: Task, prefix_BT: NDArray[np.int64], heads: int) -> NDArray[np.float64]:
    """Compute the distribution of each of the next tokens given each prefix, averaged over all tokens between.

    Args:
        task: A task that knows its `next_distribution`. The work grows as V^(heads - 1).
        prefix_BT: (B, T) ids, T >= 1.
        heads: How many tokens ahead.

    Returns:
        (heads, B, V) float64: at [i, b] of the token i + 1 ahead of prefix b.

    Raises:
        LabError: If the task does not know the distribution.
    """
    size, found = len(prefix_BT), []
    paths, weights, owners = prefix_BT, np.ones(size), np.arange(size)  # continuations, their probabilities, their prefixes
    for _ in range(heads):
        next_NV = task.next_distribution(paths)
        if next_NV is None:
            raise LabError(f"{task.name} does not know the distribution of the next token after {paths.shape[1]} tokens")
        weighted_NV = weights[:, None] * next_NV
        ahead_BV = np.zeros((size, next_NV.shape[1]))
        np.add.at(ahead_BV, owners, weighted_NV)
        found.append(ahead_BV)
        row, token = np.nonzero(weighted_NV)
        paths = np.concatenate([paths[row], token[:, None]], axis=1)
        weights, owners = weighted_NV[row, token], owners[row]
    return np.stack(found)


def complete_exactly(
    task: Task, prompts_BP: NDArray[np.int64], length: int, rng: np.random.Generator | None
) -> NDArray[np.int64]:
    """Complete prompts to (B, length) by the task's exact distribution: draw tokens, or without `rng` take the likeliest."""
    tokens_BT = prompts_BP
    while tokens_BT.shape[1] < length:
        next_BV = distributions_ahead(task, tokens_BT, 1)[0]
        if rng is None:
            chosen_B = next_BV.argmax(axis=1)
        else:
            chosen_B = (next_BV.cumsum(axis=1) > rng.random((len(next_BV), 1))).argmax(axis=1)
        tokens_BT = np.concatenate([tokens_BT, chosen_B[:, None]], axis=1)
    return tokens_BT


def acceptance_chances(
    task: Task, tokens_BT: NDArray[np.int64], prompt: int, heads: int, *, greedy: bool
) -> NDArray[np.float64]:
    """Compute how probably exact heads' drafts of given text are accepted.

    Greedy: 1 where the most probable token is the text's, else 0. Sampled: a token y of the text is an accepted draft with
    probability min(p(y), q(y)) / p(y), for head 1's p and the draft's q (Leviathan et al. 2023).

    Args:
        task: As of `distributions_ahead`.
        tokens_BT: Text that `complete_exactly` has written.
        prompt: P, tokens of the prompts.
        heads: Heads used, 2 or more.
        greedy: Whether the text and the drafts are the most probable tokens.

    Returns:
        (T, B, I) float64: at [t, b, i] the probability that the draft made from the first t tokens is accepted at token
        t + 1 + i, if its earlier tokens are (head 1 chooses token t itself); 0 beyond the text.
    """
    size, length = tokens_BT.shape
    chances_TBI = np.zeros((length, size, heads - 1))
    after = {t: distributions_ahead(task, tokens_BT[:, :t], min(heads, length - t)) for t in range(prompt, length)}
    for t, ahead_KBV in after.items():
        for i, draft_BV in enumerate(ahead_KBV[1:]):
            text_B = tokens_BT[:, t + 1 + i]
            if greedy:
                chances_TBI[t, :, i] = draft_BV.argmax(axis=1) == text_B
            else:
                q_B, p_B = (each[np.arange(size), text_B] for each in (draft_BV, after[t + 1 + i][0]))
                chances_TBI[t, :, i] = np.minimum(1, q_B / p_B)
    return chances_TBI


def tokens_per_forward(chances_TBI: NDArray[np.float64], prompt: int, rng: np.random.Generator) -> float:
    """Return the new tokens for each forward pass of blockwise decoding whose drafts are accepted with these probabilities.

    As `Completion.tokens_per_forward`: the pass over the prompt chooses a token, and each further pass reads the last token and
    the draft, and adds the accepted part of it and one token.

    Args:
        chances_TBI: From `acceptance_chances`.
        prompt: Tokens of the prompts.
        rng: Decides what is accepted.
    """
    length, size, most = chances_TBI.shape
    forwards = size  # over the prompts
    for sequence in range(size):
        root = prompt
        while root < length - 1:
            hits = rng.random(most) < chances_TBI[root, sequence]
            root += 1 + int(hits.cumprod().sum())
            forwards += 1
    return float(size * (length - prompt) / forwards)
