"""Ranks of head 1's tokens among the predictions of the drafting heads, from which `derive_tree` makes a tree.

B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

import torch

from lab.decoding.completion import SEQUENCES_AT_ONCE
from lab.decoding.result import Completion
from lab.model import Network


@torch.no_grad()
def rank_drafts(network: Network, completion: Completion) -> list[tuple[int, ...]]:
    """Rank what head 1 wrote among the tokens of heads 2..n, at each position where a draft could begin.

    A teacher-forced head reads the tokens that were written, as it does in a draft while its tokens are accepted.

    Args:
        network: In evaluation mode, with 2 heads at least.
        completion: Sequences that head 1 wrote greedily.

    Returns:
        For each position the ranks, from 0, of the tokens 2, 3, ... ahead among those of heads 2, 3, ...; as many as follow.
    """
    lines, begin = [], 0
    for tokens_BT in torch.split(completion.tokens_BT, SEQUENCES_AT_ONCE):
        hidden_NBTD = network(tokens_BT, range(2, network.n_future + 1))
        ranks = []
        for head, hidden_BTD in enumerate(hidden_NBTD, start=2):
            logits_BTV = network.unembed(hidden_BTD[:, : max(0, tokens_BT.shape[1] - head)], head)
            target_BT1 = logits_BTV.gather(-1, tokens_BT[:, head:, None])
            ranks.append((logits_BTV > target_BT1).sum(-1).tolist())
        for row in range(len(tokens_BT)):
            first, last = completion.prompts[begin + row] - 1, completion.lengths[begin + row] - 3
            for position in range(first, last + 1):
                lines.append(tuple(each[row][position] for each in ranks[: last - position + 1]))
        begin += len(tokens_BT)
    return lines
