"""How much a transition weighs in n-token prediction: the count behind choice points (Gloeckle et al. 2024, appendix L.3)."""

from __future__ import annotations


def dependent_terms(n_future: int, consequences: int | None = None) -> int:
    """Terms of the n-token loss in which a transition matters.

    A term is a pair of a position and a prediction head. It depends on the transition to a token if the position stands before
    that token and the target is the token itself, or one of those that it decides. The last n positions before the token
    predict 1, 2, ..., n tokens from it on, of which at most 1 + `consequences` depend on it. So a transition without
    consequences has weight n, and a choice point n (n + 1) / 2: (n + 1) / 2 times as much.

        n = 3, c: the token, its three last positions before it being p q r, and everything behind it depending on it
        p predicts q r c, q predicts r c d, r predicts c d e: 1 + 2 + 3 terms with it, 1 + 1 + 1 if nothing depended on it

    Args:
        n_future: n, prediction heads, 1 or more; the row is taken to have n positions before the token.
        consequences: Tokens behind it that are as hard to predict before it and follow from it, 0 or more; None for all.
    """
    return sum(ahead if consequences is None else min(ahead, 1 + consequences) for ahead in range(1, n_future + 1))
