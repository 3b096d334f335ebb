"""Section 3.6 and appendix D: trained with four heads and fine-tuned with one, and a second head added to a trained model.

The first stage trains on agreement at distance 1; four heads learn the case there, and one head does not. The other stages
start from its runs: on agreement at distance 2, and on more sequences of distance 1.

    lab reproduce finetune      64 runs, about 20 minutes on two cores
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from lab.reproduce import Stage, Study, fixed_stage
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.comparison.page import report
from lab.reproduce.comparison.plan import sweep_of
from lab.reproduce.distance_one import SETTINGS, case_family
from lab.runs import Run
from lab.sweeping import Sweep

ONE, TWO, FOUR = ({"n_future": n} for n in (1, 2, 4))
FIRST, TUNED, ADDED = "first stage", "fine-tuning", "a head added"
STARTS: Mapping[str, Mapping[str, str]] = {
    TUNED: {"n = 1, then 1": "n = 1", "n = 4, then 4": "n = 4", "n = 4, then 1": "n = 4"},
    ADDED: {"n = 1 goes on": "n = 1", "n = 2 from there": "n = 1"},
}
"""The condition of the first stage from whose runs each condition starts; a condition that is not here begins anew."""
FIRST_SEEDS = range(660, 668)

COMPARISON = Comparison(
    name="finetune",
    title="Fine-tuning with one head, and a head added to a trained model (section 3.6, appendix D)",
    question="""\
Four heads learn the case of agreement at distance 1, and one head does not (results/reach).
Fine-tuned at distance 2, which models learn the case sooner: those trained with one head or with four, and then with how \
many?
And does a second head help that is added to a trained model with one?""",
    expectation="""\
First stage: n = 4 ends above 0.95 in at least 7 of 8 seeds, and n = 1 below 0.5 in at least 7.
Fine-tuning at distance 2: both conditions that start from four heads escape in at least 7 of 8 seeds within 0.5 M tokens, \
whether they go on with one head or with four; n = 1, then 1, in at most 1 of 8 within 1.0 M.
One head after four is not later than four after four: once the look-up is there, the further heads only cost.
The paper: n = 4, then 1, beats n = 4, then 4, and both beat n = 1, then 1.
A head added at distance 1: from the plateau n = 2 escapes in at least 7 of 8 seeds, with a median at most 1.5 times that of \
n = 2 from the start; n = 1 goes on for another 1.4 M tokens and escapes in at most 2 of 8.
The paper finds no clear gain by added heads. Here a gain is expected, since what one head lacks is the question at the key \
(results/agreement), and a model that stays on a plateau has lost nothing.""",
    limits="""\
Fine-tuning is on other sequences of the same kind, with the same lexicon, and not on another skill as in the paper.
Learning rate and warm-up begin anew, at the rate of the first stage, 2e-3, for all conditions.
The next-token path has four layers at every n, so that four heads add parameters.
A run of the last two stages ends once it knows the case (0.9, twice in a row).
P-values are corrected within each family.""",
    families={
        FIRST: replace(case_family({"n = 1": ONE, "n = 4": FOUR}), solved=None),
        TUNED: case_family(
            {"n = 1, then 1": ONE, "n = 4, then 4": FOUR, "n = 4, then 1": ONE}, {**SETTINGS, "task.distance": 2, "steps": 600}
        ),
        ADDED: case_family({"n = 1 goes on": ONE, "n = 2 from there": TWO, "n = 2 from the start": TWO}),
    },
    seeds=range(670, 678),
)


def stages(_scale: str) -> list[Stage]:
    """Return the first stage and those that start from it, whose seeds and so whose sequences are others."""
    trained: list[Run] = []

    def plan_tuned(runs: Sequence[Run]) -> Sweep:
        trained.extend(runs)
        return started(TUNED, trained)

    return [
        fixed_stage(sweep_of(replace(COMPARISON, seeds=FIRST_SEEDS), FIRST)),
        Stage(sweep_of(COMPARISON, TUNED), plan_tuned),
        Stage(sweep_of(COMPARISON, ADDED), lambda _: started(ADDED, trained)),
    ]


def started(name: str, trained: Sequence[Run]) -> Sweep:
    """Return the sweep of a family whose runs start from the weights of runs of the first stage, seed by seed."""
    family, paths = COMPARISON.families[name], {}
    for condition, settings in COMPARISON.families[FIRST].conditions.items():
        runs = [run for run in trained if run.experiment.n_future == settings["n_future"]]
        paths[condition] = [str(run.path) for run in sorted(runs, key=lambda run: run.experiment.seed)]
    conditions = {
        condition: {**settings, "init": paths[STARTS[name][condition]]} if condition in STARTS[name] else settings
        for condition, settings in family.conditions.items()
    }
    return sweep_of(replace(COMPARISON, families={name: replace(family, conditions=conditions)}), name)


STUDY = Study({"laptop": COMPARISON.scales["laptop"]}, stages, partial(report, COMPARISON))
