"""Is it anything but the question at the key? Controls of results/agreement, each as long as one head needs.

In results/agreement the controls of the second head ended after 3.1 M tokens, before one head escapes (3.8 to 5.3 M). Here
every condition has 9.2 M tokens with one cosine, and all share their seeds. Four families vary what the number of heads changes
beside the information of the targets: the path and the gradient of the second head, the clipping of the gradient, the size of
the second loss, and the optimiser's epsilon, against which the size of gradients counts.

    lab reproduce controls      184 runs, about three hours on two cores and with a C++ compiler
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lab.reproduce.agreement import PLATEAU
from lab.reproduce.comparison import comparison_study
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.distance_one import case_family

ONE: dict[str, Any] = {"n_future": 1}
TWO: dict[str, Any] = {"n_future": 2}
SETTINGS: Mapping[str, Any] = {
    **PLATEAU.scales["laptop"],
    "task": "agreement",
    "steps": 6000,
    "optimiser.peak_lr": 1e-3,
    "compile": "default",
}
"""Those of results/agreement, with three times the steps."""
family = partial(case_family, settings=SETTINGS)


LINEAR: dict[str, Any] = {
    "model.heads": "linear",
    "objective.terms": [{"head": 1}, {"head": 2, "target": "case_first"}],
}
"""A second head of one matrix, asked for the case at the key alone: a linear probe that trains the trunk, or does not."""
CLIP, EPSILON = "optimiser.clip_norm", "optimiser.epsilon"
COMPARISON = Comparison(
    name="controls",
    title="Controls of a second head on agreement, each as long as one head needs",
    question="""\
Two heads escape the plateau of agreement at 0.6 to 1.0 M tokens, one head at 3.8 to 5.3 M (results/agreement).
Does anything but the information of the second head's targets bring an escape forward: a shorter path, a second loss, its \
size, clipping, or the optimiser's epsilon?""",
    expectation="""\
Heads: n = 2 escapes in 8 of 8 seeds, each before 1.5 M tokens.
Without a gradient from the key no condition has a median below 2.5 M: one head escapes as before, at either depth, with a \
median of 3 to 6 M, and so do the detached head and the next token twice; shuffled targets escape no sooner than n = 1.
A linear probe for the case at the key escapes before 1.5 M in 8 of 8 seeds if its gradient trains the trunk, and as n = 1 if \
not.
Clipping: at each value n = 2 escapes before 1.5 M in at least 7 of 8 seeds, and n = 1 before 2.5 M in at most one.
Weight of head 2: at each weight from 0.25 on at least 7 of 8 seeds escape before 2 M; at 0.1 as many, but later.
Loss and epsilon: neither a loss on all tokens nor an epsilon of 1e-6 moves the median of n = 1 below 2.5 M or that of n = 2 \
above 2 M.
The expectation comes from results/agreement and from single runs with another loop, in which clipping was neither necessary \
nor sufficient.""",
    limits="""\
One task, one size and one peak rate, 1e-3; `lab reproduce rates` varies the rate.
A run ends once it knows the case (0.9, twice in a row), so that nothing is said of what comes after.
P-values are corrected within each family.""",
    families={
        "heads": family(
            {
                "n = 1": ONE,
                "n = 1, depth of n = 2": ONE | {"model.layers": 3},
                "next token twice": TWO | {"objective.terms": [{"head": 1}, {"head": 2, "ahead": 1}]},
                "n = 2, shuffled": TWO | {"objective.name": "shuffled"},
                "n = 2, detached": TWO | {"objective.detached": True},
                "n = 2": TWO,
                "linear probe at the key": TWO | LINEAR,
                "linear probe, detached": TWO | LINEAR | {"objective.detached": True},
            }
        ),
        "clipping": family(
            {
                f"n = {heads['n_future']}, {words}": heads | {CLIP: norm}
                for heads in (ONE, TWO)
                for words, norm in (("none", None), ("0.3", 0.3), ("3", 3.0))
            }
        ),
        "weight of head 2": family(
            {f"{weight:g}": TWO | {"objective.weights": [1, weight]} for weight in (0.1, 0.25, 0.5, 1.0, 2.0)}
        ),
        "loss and epsilon": family(
            {
                f"n = {heads['n_future']}, {words}": heads | settings
                for heads in (ONE, TWO)
                for words, settings in (("loss on all", {"task.loss_on": "all"}), ("epsilon 1e-6", {EPSILON: 1e-6}))
            }
        ),
    },
    seeds=range(600, 608),
)
STUDY = comparison_study(COMPARISON)
