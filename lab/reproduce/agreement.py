"""Do models learn a case sooner if an earlier position, which has the information, must predict it?

Agreement with a later verb (Gloeckle et al. 2024, L.4, as a task): a glossary of keys and verbs, one of the keys, a random
stem, the case that the key's verb governs, and the verb. The case needs the glossary and then the lexicon. Head 2 predicts it
at the key, where the look-up begins; head 1 predicts it one position later, at the stem, which holds no information about it.
With the verb first each target is one look-up away, so that looking ahead cannot help. All settings were fixed before any of
these runs except the rate, which n = 1 alone chose; no earlier run had these seeds.

    lab reproduce agreement --scale laptop      64 runs, about an hour on two cores
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lab.interp.patching import patch_position
from lab.reproduce.plateau import plateau_study
from lab.reproduce.plateau.configuration import Measurement, Plateau
from lab.runs import Run
from tasks.agreement import Agreement
from tasks.core.rng import stream

_SEQUENCES = 512


def other_glossary(task: Agreement, tokens: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """Return sequences (B, T) with a verb of another case at the prompt's key in the glossary; the rest stays the same."""
    keys, prompt = slice(0, 2 * task.pairs, 2), 2 * task.pairs
    pair_B = (tokens[:, keys] == tokens[:, prompt : prompt + 1]).argmax(axis=1)
    position_B, sequence_B = 2 * pair_B + 1, np.arange(len(tokens))
    case_B = task.lexicon[tokens[sequence_B, position_B] - task.keys]
    other_BV = task.lexicon != case_B[:, None]
    chosen_B = (stream("other glossary", seed=seed, index=0).random(other_BV.shape) * other_BV).argmax(axis=1)
    changed = tokens.copy()
    changed[sequence_B, position_B] = task.keys + chosen_B
    return changed


def patch_key(run: Run) -> pd.DataFrame:
    """Patch the activation at the key's position (see `lab.interp.patching`) on 512 sequences of the test split.

    The state at the key, after some layers of the trunk, is replaced by that of a sequence whose glossary gives the same key a
    verb of another case. Head 1 is read where the case is due.

    Returns:
        One row for each number of layers: `layers` (0: the embedding), `own` and `other` (shares of sequences in which head 1
        predicts the sequence's own case, and that of the sequence that the state was taken from).
    """
    task, network = run.experiment.task, run.model()
    assert isinstance(task, Agreement)
    tokens = task.batch(0, 0, _SEQUENCES, "test").tokens
    others = other_glossary(task, tokens)
    key = 2 * task.pairs
    stem, case = key + 1, key + 2
    own = torch.from_numpy(tokens[:, case])
    meant_B = (others[:, 0:key:2] == others[:, key : key + 1]).argmax(axis=1)
    verb_B = others[np.arange(len(others)), 2 * meant_B + 1] - task.keys
    other = torch.from_numpy(task.keys + task.verbs + task.stems + task.lexicon[verb_B])
    rows = []
    for layers in range(len(network.trunk) + 1):
        name = f"trunk.{layers - 1}.residual" if layers else "embedding"
        logits_BTV = patch_position(network, torch.from_numpy(tokens), torch.from_numpy(others), name, key)
        predicted_B = logits_BTV[:, stem].argmax(-1)
        shares = [float((predicted_B == case_B).double().mean()) for case_B in (own, other)]
        rows.append({"layers": layers, "own": shares[0], "other": shares[1]})
    return pd.DataFrame(rows)


def patch_keys(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return `patch_key` of every run whose verb is last, with the columns `arm` (the condition) and `seed`."""
    found = [
        patch_key(run).assign(arm=condition, seed=run.experiment.seed)
        for condition, each in runs.items()
        for run in each
        if condition in LAST
    ]
    return pd.concat(found, ignore_index=True)[["arm", "seed", "layers", "own", "other"]]


def summarise_patching(patching: pd.DataFrame) -> pd.DataFrame:
    """Return both shares of each seed by condition and number of layers; they have two peaks, so that a mean would mislead."""
    rows = []
    for (condition, layers), part in patching.groupby(["arm", "layers"], sort=False):
        own, other = (" ".join(f"{share:.2f}" for share in part[name]) for name in ("own", "other"))
        rows.append({"condition": condition, "layers of the trunk": layers, "own case": own, "the other's case": other})
    return pd.DataFrame(rows)


LAST: Mapping[str, Mapping[str, object]] = {
    # As in `star`: the next-token path of n = 2 with one layer fewer, a probe that sends no gradient to the trunk, and the same
    # work without information.
    "n = 1": {"n_future": 1},
    "n = 1, depth of n = 2": {"n_future": 1, "model.layers": 3},
    "n = 2": {"n_future": 2},
    "n = 2, detached": {"n_future": 2, "objective.detached": True},
    "n = 2, shuffled": {"n_future": 2, "objective.name": "shuffled"},
}
"""Conditions in which the verb is last."""

PLATEAU = Plateau(
    name="agreement",
    title="Agreement at {scale} scale: which conditions learn the case of a later verb?",
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
            "evaluation.examples": 256,
            "evaluation.measures.induction": 0,
        },
    },
    seeds=range(200, 208),
    families={
        "": LAST,
        "verb first": {
            "n = 1, verb first": {"n_future": 1, "task.order": "verb_first"},
            "n = 2, verb first": {"n_future": 2, "task.order": "verb_first"},
        },
    },
    metric="accuracy/case_first/1",
    label="accuracy on the case",
    levels={"key not resolved": 0.412},
    stepping_stone="accuracy/case_first/2",
    stepping_stone_label="the case one position earlier",
    metric_pattern=r"(accuracy|loss)/(case_first|verb)/\d",
    rates=(1e-3, 2e-3, 4e-3, 8e-3),
    tuning_seeds=(300, 301),
    measurements=(
        Measurement(
            file="patching.csv",
            heading="Activation patching of the key: shares of the own and of the other case, each seed",
            measure=patch_keys,
            summarise=summarise_patching,
        ),
    ),
)

STUDY = plateau_study(PLATEAU)
