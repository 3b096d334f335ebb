"""Is a case learnt sooner when the position that can know it is asked for it?

Agreement with a verb that is still to come (Gloeckle et al. 2024, L.4, as a task): a glossary of keys and verbs, the key that
is meant, then a random stem, the case that the verb governs, and the verb. The case needs the glossary and then the lexicon. A
second head is asked for it one position earlier, at the key, where the look-up begins; head 1 only when the stem, which says
nothing, stands in between. With the verb said first each target is one look-up away, and nothing is left to look ahead for.
All settings were fixed before any of these runs, but the rate, which n = 1 alone chose; the seeds are fresh.

    lab reproduce agreement --scale laptop      64 runs, about an hour on two cores
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lab.analysis.interchange import interchanged
from lab.analysis.statistics import mean_with_interval
from lab.reproduce.plateau import Plateau
from lab.runs import Run
from tasks.agreement import Agreement
from tasks.streams import stream

_ROWS = 512


def other_glossary(task: Agreement, tokens: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """The same rows with another verb at the meant key, whose case is another, (B, T); what follows the prompt is as it was."""
    keys, prompt = slice(0, 2 * task.pairs, 2), 2 * task.pairs
    pair_B = (tokens[:, keys] == tokens[:, prompt : prompt + 1]).argmax(axis=1)
    place_B, row_B = 2 * pair_B + 1, np.arange(len(tokens))
    case_B = task.lexicon[tokens[row_B, place_B] - task.keys]
    other_BV = task.lexicon != case_B[:, None]
    chosen_B = (stream("other glossary", seed=seed, index=0).random(other_BV.shape) * other_BV).argmax(axis=1)
    changed = tokens.copy()
    changed[row_B, place_B] = task.keys + chosen_B
    return changed


def carried(run: Run) -> list[tuple[float, float]]:
    """What head 1 says where the case is due, by how many layers of the trunk the state at the key has behind it that is taken
    from a row whose glossary gives the same key a verb of another case.

    Returns:
        For 0, 1, ... layers the share of 512 rows of the test split with the row's own case, and that with the other's.
    """
    task, network = run.experiment.task, run.model()
    assert isinstance(task, Agreement)
    rows = task.batch(0, 0, _ROWS, "test").tokens
    others = other_glossary(task, rows)
    key = 2 * task.pairs
    stem, case = key + 1, key + 2
    own = torch.from_numpy(rows[:, case])
    meant_B = (others[:, 0:key:2] == others[:, key : key + 1]).argmax(axis=1)
    verb_B = others[np.arange(len(others)), 2 * meant_B + 1] - task.keys
    other = torch.from_numpy(task.keys + task.verbs + task.stems + task.lexicon[verb_B])
    shares = []
    for layers in range(len(network.trunk) + 1):
        said = interchanged(network, torch.from_numpy(rows), torch.from_numpy(others), key, layers)[:, stem].argmax(-1)
        shares.append((float((said == own).double().mean()), float((said == other).double().mean())))
    return shares


def carried_table(runs: Mapping[str, Sequence[Run]]) -> dict[str, pd.DataFrame]:
    """`carried` of every arm in which the verb is last, means over seeds."""
    rows = []
    for arm in STUDY.families[""]:
        by_layers = zip(*(carried(run) for run in runs[arm]), strict=True)
        for layers, shares in enumerate(by_layers):
            own, other = zip(*shares, strict=True)
            each = " ".join(f"{share:.2f}" for share in other)
            mean = mean_with_interval(own)
            rows.append({"arm": arm, "layers of the trunk": layers, "says its own case": mean, "the other's, each seed": each})
    heading = "What the key's position carries: its state taken from a row whose glossary gives the same key another case"
    return {heading: pd.DataFrame(rows)}


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
    chance={"key not resolved": 0.412},
    stone="accuracy/case_first/2",
    stone_words="the case one position earlier",
    told=r"(accuracy|loss)/(case_first|verb)/\d",
    rates=(1e-3, 2e-3, 4e-3, 8e-3),
    tuning_seeds=(300, 301),
    also=carried_table,
)
SCALES, sweeps, report = STUDY.scales, STUDY.sweeps, STUDY.report
