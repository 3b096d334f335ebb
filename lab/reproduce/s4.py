"""Tab S4: which kinds of prediction heads bring the escape from the plateau of agreement forward?

Every kind of the laboratory, with two heads, against one head on agreement at distance 1. The next-token path has four layers
with each kind.

    lab reproduce s4      80 runs, about 25 minutes on two cores
"""

from __future__ import annotations

from lab.config.kinds import KINDS
from lab.reproduce.comparison import comparison_study
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.distance_one import case_family

COMPARISON = Comparison(
    name="s4",
    title="Kinds of prediction heads on agreement (Tab S4)",
    question="""\
Two parallel heads, which are a transformer layer each, escape the plateau of agreement at distance 1, and one head does not \
(results/reach).
With which kinds of heads does the second one help as well, and as early?""",
    expectation="""\
n = 1 escapes within 1.4 M tokens in at most 1 of 8 seeds; n = 2 with parallel heads in 8 of 8, with a median of 0.3 to \
0.5 M (results/reach: 0.38).
What teaches is the question at the key, which every kind asks: with each kind but bare heads at least 7 of 8 seeds escape, \
with a median of at most twice that of parallel heads.
Linear and residual heads, a matrix each, leave the look-up to the trunk; their median is at most a quarter later.
Second heads that read the token before their target (sequential, joint) help as well: at the key this is the stem, which says \
nothing about the case.
Bare heads are one function, which is asked for the case and the verb at the stem alike: the look-up is learnt, but at most \
2 of 8 seeds are right in 0.9 of the sequences.
The paper, at 7B: all kinds beat n = 1 on average, and parallel heads are the most consistent. Here no kind is expected to \
stand out.""",
    limits="""\
Kinds differ in parameters (195 to 252 thousand) and in the FLOPs of a step.
The rate, 2e-3, was chosen with parallel heads (results/reach).
A run ends once it knows the case (0.9, twice in a row), so that nothing is said of what comes after.
P-values are corrected over all kinds.""",
    families={
        "kind of heads, n = 2": case_family(
            {"n = 1": {"n_future": 1}} | {kind: {"n_future": 2, "model.heads": kind} for kind in KINDS}
        )
    },
    seeds=range(630, 638),
)
STUDY = comparison_study(COMPARISON)
