"""Does a far target help on path-star graphs if it trains the layers that head 1 uses? With enough seeds to see it.

In results/star a second head gave no more escapes than one (3 and 4 of 8). It learnt its target, the goal's predecessor, in a
layer of its own, where head 1 cannot use it. Linear heads and heads without layers leave no room for that: what the second
target teaches lies in the trunk, and with `head_layer` below its last layers.

    lab reproduce star_again      64 runs, about an hour and a half on two cores and with a C++ compiler
"""

from __future__ import annotations

from lab.reproduce.comparison import comparison_study
from lab.reproduce.comparison.configuration import Comparison, Family
from lab.reproduce.star import PLATEAU

COMPARISON = Comparison(
    name="star_again",
    title="Path-star graphs again: where must a second head sit?",
    question="""\
A second head knows the goal's predecessor, half of the walk that head 1 needs at the same position, in every run of \
results/star, and head 1 escapes no more often.
Is that because the second head does the look-up in a layer of its own? Linear heads, and heads without layers, need it in \
the trunk.""",
    expectation="""\
Published: with two layers, far targets on a lower layer solve stars of two arms that next-token prediction does not \
(50 % against 100 %, three runs each).
Expected: head depth escapes in at least 12 of 16 seeds, n = 1 in 4 to 10, and n = 2 with heads of one layer in at most 4 \
more than n = 1; linear heads lie between n = 2 and head depth.
Of the three comparisons with n = 1 only that of head depth is found.
(Written for 12,000 steps, as in results/star, where every escape came before step 6,000; shortened to 6,000 steps before the \
first run of this study, so that its cosine is half as long.)""",
    limits="""\
One size of graph, one of network, and one peak rate, 2e-3, that of results/star, which was not tuned.
The next-token path has five layers in every condition; the second head of `n = 2` is one more.
Whether a shallow head helps by what it teaches or by what it leaves out (a layer) is not separated.""",
    families={
        "star": Family(
            settings={"task": "star", "model.matched": "layers", **PLATEAU.scales["laptop"], "steps": 6000},
            conditions={
                "n = 1": {"n_future": 1},
                "n = 2": {"n_future": 2},
                "n = 2, linear heads": {"n_future": 2, "model.heads": "linear"},
                "n = 2, head depth 3 of 5": {"n_future": 2, "model.heads": "bare", "model.head_layer": 3},
            },
            metric=PLATEAU.metric,
            label=PLATEAU.label,
            escaped=PLATEAU.escape_threshold,
            solved=0.95,
        )
    },
    seeds=range(700, 716),
)
STUDY = comparison_study(COMPARISON)
