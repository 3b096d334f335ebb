"""Attention patterns of some sequences, with the words and roles of the positions.

B sequences, T positions, H attention heads.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lab.errors import check_count
from lab.interp.sequences import Sequences, draw_sequences
from lab.model import Network, site_names, states
from tasks import Task

HIDDEN = "(hidden)"
"""Word of a position whose token a teacherless network does not read."""
COLUMNS = ["sequence", "site", "attention_head", "query", "key", "query_word", "key_word", "query_role", "key_role", "value"]


def pattern_sites(network: Network) -> list[str]:
    """List the names of the attention patterns of a network, trunk first."""
    return [name for name in site_names(network) if name.endswith(".pattern")]


@torch.no_grad()
def attention(
    network: Network,
    task: Task,
    *,
    sequences: int = 4,
    positions: int = 48,
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Return the attention weights of every attention head, from every position to itself and to all before it.

    Args:
        network: Any network.
        task: Its task.
        sequences: Number of sequences.
        positions: Positions from the first on that are reported, at most; the network reads whole sequences.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `sequence` (from 0), `site` (name of the pattern), `attention_head` (from 0), `query` (the position that attends, from
        0), `key` (the position attended to, at most `query`), `query_word`, `key_word` (their tokens), `query_role`,
        `key_role` (as targets), `value` (attention weight, to five digits; those of a query sum to 1). Padding after the end
        is left out.

    Raises:
        LabError: If `positions` is below 1.
    """
    positions = check_count("positions", positions)
    drawn = draw_sequences(network, task, sequences, split, seed)
    found = states(network, drawn.inputs_BT, pattern_sites(network))
    parts = []
    for number in range(sequences):
        words, roles = read_words(task, drawn, number)
        length = min(positions, len(words))
        query, key = np.tril_indices(length)
        labels = {
            "query_word": words[query],
            "key_word": words[key],
            "query_role": roles[query],
            "key_role": roles[key],
        }
        for site, pattern_BHTT in found.items():
            for head, pattern_TT in enumerate(pattern_BHTT[number].double().cpu().numpy()):
                where = {"sequence": number, "site": site, "attention_head": head, "query": query, "key": key}
                parts.append(pd.DataFrame({**where, **labels, "value": pattern_TT[query, key].round(5)}))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def read_words(task: Task, drawn: Sequences, number: int) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the word and the role of each position of a sequence, up to its last target."""
    roles = drawn.batch.roles[number]
    length = max(1, int(roles.nonzero()[0].max(initial=0)) + 1)
    tokens = drawn.inputs_BT[number, :length].tolist()
    words = [task.word(token) if token < task.vocab_size else HIDDEN for token in tokens]
    return np.array(words), np.array([task.roles[role] for role in roles[:length]])
