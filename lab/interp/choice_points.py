"""The weight of a transition in n-token prediction: the count behind choice points (Gloeckle et al. 2024, appendix L.3)."""

from __future__ import annotations


def dependent_terms(n_future: int, consequences: int | None = None) -> int:
    """Count the terms of the n-token loss in which a transition matters.

    A term is a pair of a position and a prediction head. It depends on the transition to a token if the position is before that
    token and the target is the token itself or one that follows from it. The last n positions before the token predict
    1, 2, ..., n tokens from it on, of which at most 1 + `consequences` depend on it. So a transition without consequences has
    weight n, and a choice point n (n + 1) / 2.

        n = 3: tokens p q r c d e, of which c is the choice and d, e follow from it
        p predicts q r c, q predicts r c d, r predicts c d e: 1 + 2 + 3 terms with it, 1 + 1 + 1 if nothing followed from it

    Args:
        n_future: n, prediction heads, 1 or more, with at least n positions before the token.
        consequences: Later tokens that follow from it and are as hard to predict before it; None for all.
    """
    return sum(ahead if consequences is None else min(ahead, 1 + consequences) for ahead in range(1, n_future + 1))
