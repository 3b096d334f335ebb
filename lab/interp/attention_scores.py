"""Induction heads (Olsson et al. 2022), measured on random tokens that repeat: whatever a task is, the probe is the same.

B rows, T positions, H attention heads, K width of one, D width, U distinct tokens of the probe.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lab.model import Network
from lab.model.layers import Attention, Layer
from tasks import Task
from tasks.core.rng import stream

DEFAULT_PERIOD = 16
"""Distance of the probe, tokens, for tasks that do not repeat what they have shown at distances of their own."""


@dataclass(frozen=True)
class AttentionScore:
    """What one attention head does on the probe.

    Attributes:
        part: `trunk` or `prediction`.
        layer: Layer of the trunk counted from 0, or prediction head counted from 1.
        attention_head: Counted from 0.
        prefix_matching: Mean attention, over the second copy, to the token that followed this one in the first; in [0, 1].
            In prediction head i: to where the token last stood that comes i places after this one, which is the one that it
            must predict; of heads that are told the tokens between, to where it was told that token last.
        copying: Mean correlation, over the tokens of the probe, between the attention that a position pays to each token and
            the logit that the attention head adds to it there; in [-1, 1]. Olsson et al. ask the same, whether what is
            attended to is made more likely, by a ratio of raised logits.
    """

    part: str
    layer: int
    attention_head: int
    prefix_matching: float
    copying: float


def probe_period(task: Task) -> int:
    """Distance, tokens, at which networks of a task are probed: one that training has shown, where the task says which.

    The middle of the distances at which its sequences repeat (`Task.repeats`); else `DEFAULT_PERIOD`, or half of a shorter
    sequence.
    """
    repeats = task.repeats()
    return min(DEFAULT_PERIOD, max(1, task.length // 2)) if repeats is None else sum(repeats) // 2


def chance(period: int) -> float:
    """Prefix-matching score of attention that is spread evenly over all positions it may look at, on a probe of this period."""
    return sum(1 / (position + 1) for position in range(period, 2 * period)) / period


def repeated_probe(vocabulary: int, rows: int, period: int, seed: int) -> Tensor:
    """Rows of random tokens, each row twice in a row: (rows, 2 x period) int64.

    Tokens of a row differ; where the vocabulary is smaller than the period, the period is the vocabulary.
    """
    period = min(period, vocabulary)
    rng = stream("repeated probe", seed=seed, index=0)
    segment = torch.stack([torch.from_numpy(rng.choice(vocabulary, period, replace=False)) for _ in range(rows)])
    return torch.cat([segment, segment], dim=1)


@torch.no_grad()
def attention_scores(network: Network, probe_BT: Tensor) -> list[AttentionScore]:
    """Both scores of every attention head, trunk first.

    Args:
        network: Any network; its mode does not matter, since nothing in it is random.
        probe_BT: From `repeated_probe`, on the network's device.
    """
    length = probe_BT.shape[1]
    period = length // 2
    second = torch.arange(period, length, device=probe_BT.device)
    tokens_U, index_BT = torch.unique(probe_BT, return_inverse=True)
    one_hot_BTU = nn.functional.one_hot(index_BT, len(tokens_U)).float()
    scores = []
    for (part, layer), (attention, states_BTD, rotary) in attention_inputs(network, probe_BT).items():
        pattern_BHTT = attention.pattern(states_BTD, rotary)
        head = layer if part == "prediction" else 1
        ahead = 1 if network.teacher_forced else head
        readout_UD = network.unembedding.of_head(head)[tokens_U].float() * network.norm.weight
        matched_H = pattern_BHTT[:, :, second, second - period + ahead % period].mean((0, 2))
        copying_H = _copying(attention, states_BTD, rotary, pattern_BHTT, one_hot_BTU, readout_UD)
        pairs = zip(matched_H.tolist(), copying_H.tolist(), strict=True)
        scores += [AttentionScore(part, layer, head, matched, copying) for head, (matched, copying) in enumerate(pairs)]
    return scores


def attention_patterns(network: Network, tokens_BT: Tensor) -> dict[str, Tensor]:
    """Attention weights (B, H, T, T) of every layer, by `trunk.<layer>` and `prediction.<head>`."""
    with torch.no_grad():
        return {
            f"{part}.{layer}": attention.pattern(states_BTD, rotary)
            for (part, layer), (attention, states_BTD, rotary) in attention_inputs(network, tokens_BT).items()
        }


def score_metrics(scores: list[AttentionScore], period: int) -> dict[str, float]:
    """Scores as metrics: `prefix_matching/trunk.0/2` (layer 0, attention head 2), the strongest of each part, and chance.

    `prefix_matching/trunk` and `copying/trunk` are those of the trunk's attention head that matches prefixes best. It is the
    best of as many as the trunk has: of equal parameters, fewer where there are more prediction heads.
    `prefix_matching/chance` is what evenly spread attention scores.

    Args:
        scores: From `attention_scores`.
        period: Of their probe.
    """
    values: dict[str, float] = {"prefix_matching/chance": chance(period)}
    for score in scores:
        place = f"{score.part}.{score.layer}/{score.attention_head}"
        values |= {f"prefix_matching/{place}": score.prefix_matching, f"copying/{place}": score.copying}
    for part in dict.fromkeys(score.part for score in scores):
        best = max((score for score in scores if score.part == part), key=lambda score: score.prefix_matching)
        values |= {f"prefix_matching/{part}": best.prefix_matching, f"copying/{part}": best.copying}
    return values


def in_context_score(losses_BT: Tensor, counted_BT: Tensor) -> float:
    """In-context-learning score: loss late in the context minus loss early in it, nats; the lower, the more the context helps.

    Olsson et al. take token 500 minus token 50 of 512. Here a tenth of a row's targets about each of these two places, at
    least one: those that end at 98 % and those around 10 % of them. Each row counts as much.

    Args:
        losses_BT: (B, T) next-token losses in nats.
        counted_BT: (B, T) bool, whether there is a target, in every row some: not in padding, nor at the last position.
    """
    place_BT = counted_BT.cumsum(1) - 1
    length_B1 = counted_BT.sum(1, keepdim=True)
    window_B1 = (length_B1 // 10).clamp(min=1)
    early_B1 = (length_B1 // 10 - window_B1 // 2).clamp(min=0)
    late_B1 = torch.maximum(window_B1, (0.98 * length_B1).round().long()) - window_B1

    def mean(begin_B1: Tensor) -> Tensor:
        inside_BT = counted_BT & (place_BT >= begin_B1) & (place_BT < begin_B1 + window_B1)
        return (losses_BT.double() * inside_BT).sum(1) / window_B1[:, 0]

    return float((mean(late_B1) - mean(early_B1)).mean())


Inputs = dict[tuple[str, int], tuple[Attention, Tensor, Tensor]]
"""For each (part, layer): the attention, its input states (B, T, D), the rotary turns."""


@torch.no_grad()
def attention_inputs(network: Network, tokens_BT: Tensor) -> Inputs:
    """What every layer's attention sees in one forward pass."""
    found: Inputs = {}
    with _watched(network, found):
        network(tokens_BT)
    return found


@contextmanager
def _watched(network: Network, found: Inputs) -> Iterator[None]:
    """Note the inputs of every attention while inside."""
    handles = []
    for part, module, first in (("trunk", network.trunk, 0), ("prediction", network.heads, 1)):
        layers = [layer for layer in module.modules() if isinstance(layer, Layer)]
        for number, layer in enumerate(layers, start=first):

            def note(attention: Attention, inputs: tuple[Tensor, Tensor], place: tuple[str, int] = (part, number)) -> None:
                found[place] = (attention, *inputs)

            handles.append(layer.attention.register_forward_pre_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _copying(
    attention: Attention, states_BTD: Tensor, rotary: Tensor, pattern_BHTT: Tensor, one_hot_BTU: Tensor, readout_UD: Tensor
) -> Tensor:
    """(H,) copying scores.

    The logits that an attention head adds go straight from its output to the unembedding; the final norm's scale is left out,
    since a correlation does not depend on it.
    """
    values_BHTK = attention.project(states_BTD, rotary)[2].float()
    n_heads, head_width = values_BHTK.shape[1], values_BHTK.shape[3]
    out_HKD = attention.out.weight.float().T.view(n_heads, head_width, -1)
    per_source_BHTU = values_BHTK @ (out_HKD @ readout_UD.T)
    logits_BHTU = pattern_BHTT @ per_source_BHTU
    attended_BHTU = pattern_BHTT @ one_hot_BTU[:, None]
    logits_BHTU = logits_BHTU - logits_BHTU.mean(-1, keepdim=True)
    attended_BHTU = attended_BHTU - attended_BHTU.mean(-1, keepdim=True)
    return nn.functional.cosine_similarity(logits_BHTU, attended_BHTU, dim=-1).mean((0, 2))
