"""Is a case learnt sooner when the position that can know it is asked for it?

Agreement with a verb that is still to come (Gloeckle et al. 2024, L.4, as a task): a glossary of keys and verbs, the key that
is meant, then a random stem, the case that the verb governs, and the verb. The case needs the glossary and then the lexicon. A
second head is asked for it one position earlier, at the key, where the look-up begins; head 1 only when the stem, which says
nothing, stands in between. With the verb said first each target is one look-up away, and nothing is left to look ahead for.
All settings were fixed before any of these runs, but the rate, which n = 1 alone chose; the seeds are fresh.

    lab reproduce agreement --scale laptop      64 runs, about an hour on two cores
"""

from __future__ import annotations

from lab.reproduce.plateau import Plateau

STUDY = Plateau(
    name="agreement",
    title="Agreement at {scale} scale: who learns the case of a verb that is still to come?",
    scales={
        "laptop": {
            "task.words": 1,
            "task.pairs": 4,
            "task.keys": 8,
            "task.verbs": 16,
            "task.cases": 8,
            "model.width": 64,
            "model.layers": 4,
            "batch_size": 128,
            "steps": 2000,
            "evaluation.every": 50,
            "evaluation.induction_scores": False,
        },
    },
    seeds=range(200, 208),
    # As in `star`: the next-token path of n = 2 in one layer fewer, a probe that sends nothing to the trunk, and the same work
    # without information.
    families={
        "": {
            "n = 1": {"n_future": 1},
            "n = 1, depth of n = 2": {"n_future": 1, "model.layers": 3},
            "n = 2": {"n_future": 2},
            "n = 2, detached": {"n_future": 2, "objective.detached": True},
            "n = 2, shuffled": {"n_future": 2, "objective.name": "shuffled"},
        },
        "verb first": {
            "n = 1, verb first": {"n_future": 1, "task.order": "verb_first"},
            "n = 2, verb first": {"n_future": 2, "task.order": "verb_first"},
        },
    },
    metric="accuracy/case_first/1",
    what="accuracy on the case",
    chance={"the glossary's cases, the key not resolved": 0.41},
    stone="accuracy/case_first/2",
    stone_words="the case one position earlier",
    told=r"(accuracy|loss)/(case_first|verb)/\d",
    rates=(1e-3, 2e-3, 4e-3, 8e-3),
    tuning_seeds=(300, 301),
)
SCALES, sweeps, report = STUDY.scales, STUDY.sweeps, STUDY.report
