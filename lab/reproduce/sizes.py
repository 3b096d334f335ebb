"""Do the staircase of results/reach and the question at the key hold for networks of other depths and widths?

At each size the two combinations on either side of the staircase are compared: n = d and n = d + 1 at distance d = 1, and one
head that is asked for the case at the key instead of the stem, or without the stem.

    lab reproduce sizes      160 runs, about two hours on two cores
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.reproduce.comparison import comparison_study
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.distance_one import SETTINGS, case_family

SIZES: Mapping[str, Mapping[str, Any]] = {
    f"{layers} layers, width {width}": {"model.layers": layers, "model.width": width}
    for layers, width in ((2, 64), (3, 64), (4, 32), (4, 64), (4, 128))
}
"""The size of results/reach has four layers and width 64."""
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "n = 1": {"n_future": 1},
    "n = 2": {"n_future": 2},
    "one head, case at the key": {
        "n_future": 1,
        "objective.terms": [{"head": 1}, {"head": 1, "ahead": 2, "target": "case_first"}],
    },
    "one head, no stem": {"n_future": 1, "objective.terms": [{"head": 1, "except_target": "stem"}]},
}

COMPARISON = Comparison(
    name="sizes",
    title="Which question teaches, at other depths and widths",
    question="""\
With four layers and width 64, a model learns the case quickly if and only if it is asked for it, or for the verb, at the key \
(results/agreement, results/reach).
Does the same hold from two to four layers and for widths 32 to 128?""",
    expectation="""\
With three layers or more and width 64 or more, the two conditions that are asked for the case at the key (n = 2, and one head \
for the case at the key) escape within 900 steps in at least 7 of 8 seeds, and the two others in at most 1 of 8.
At width 32 both that are asked escape in at least 5 of 8, the others in at most 1.
With two layers the two prediction heads share one, which has room for the first half of the look-up alone: n = 2 escapes \
in at most 4 of 8, and one head that is asked at the key in at least 5.
The rate was tuned at four layers and width 64 alone (results/reach).""",
    limits="""\
One distance, one task and one peak rate, 2e-3, which was tuned at one of the sizes: a condition that does not escape at \
another size may do so at another rate.
The next-token path has the same number of layers at every n; a further head is one more layer.
P-values are corrected within each size.""",
    families={name: case_family(CONDITIONS, {**SETTINGS, **size}) for name, size in SIZES.items()},
    seeds=range(610, 618),
)
STUDY = comparison_study(COMPARISON)
