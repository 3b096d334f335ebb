"""Induction heads (Olsson et al. 2022), measured on random tokens that repeat: the same probe for every task.

B sequences, T positions, H attention heads, K width of one, D width, U distinct tokens of the probe.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lab.metrics import Metric
from lab.model import Network, site_names, states
from lab.model.layers import Attention
from tasks import Task
from tasks.core.rng import stream

DEFAULT_PERIOD = 16
"""Distance of the probe, tokens, for tasks that repeat at no distances of their own."""


@dataclass(frozen=True)
class AttentionScore:
    """Scores of one attention head on the probe.

    Attributes:
        part: `trunk` or `prediction`.
        layer: Layer of the trunk counted from 0, or prediction head counted from 1.
        attention_head: Counted from 0.
        prefix_matching: Mean attention, over the second copy, to the token that followed the present one in the first copy; in
            [0, 1]. In prediction head i: to the last occurrence of the token i positions ahead, which it has to predict; in
            teacher-forced heads: to the position where that token was last read.
        copying: Mean correlation, over the tokens of the probe, between a position's attention to each token and the logit that
            the attention head adds to it there; in [-1, 1]. Olsson et al. measure the same, whether attention to a token makes
            it more likely, by a ratio of raised logits.
        previous_token: Mean attention to the position before, over all positions but the first; in [0, 1].
    """

    part: str
    layer: int
    attention_head: int
    prefix_matching: float
    copying: float
    previous_token: float


def probe_period(task: Task) -> int:
    """Return the distance, tokens, at which networks of a task are probed: one that occurs in training, if the task states any.

    The middle of the distances at which its sequences repeat (`Task.repeats`); else `DEFAULT_PERIOD`, or half of a shorter
    sequence.
    """
    repeats = task.repeats()
    return min(DEFAULT_PERIOD, max(1, task.length // 2)) if repeats is None else sum(repeats) // 2


def chance(period: int) -> float:
    """Return the prefix-matching score of uniform causal attention on a probe of this period."""
    return sum(1 / (position + 1) for position in range(period, 2 * period)) / period


def repeated_probe(vocabulary: int, sequences: int, period: int, seed: int) -> Tensor:
    """Draw sequences of distinct random tokens, each repeated once: (sequences, 2 x period) int64.

    If the vocabulary is smaller than the period, the period is the vocabulary.
    """
    period = min(period, vocabulary)
    rng = stream("repeated probe", seed=seed, index=0)
    segment = torch.stack([torch.from_numpy(rng.choice(vocabulary, period, replace=False)) for _ in range(sequences)])
    return torch.cat([segment, segment], dim=1)


@torch.no_grad()
def attention_scores(network: Network, probe_BT: Tensor) -> list[AttentionScore]:
    """Compute the scores of every attention head, trunk first.

    Args:
        network: Any network, in any mode, since nothing in it is random.
        probe_BT: From `repeated_probe`, on the network's device.
    """
    attentions = {module.name: module for module in network.modules() if isinstance(module, Attention)}
    names = [name.removesuffix(".pattern") for name in site_names(network) if name.endswith(".pattern")]
    found = states(network, probe_BT, [f"{name}.{site}" for name in names for site in ("pattern", "values")])
    period: int = probe_BT.shape[1] // 2
    second = torch.arange(period, 2 * period, device=probe_BT.device)
    tokens_U, index_BT = torch.unique(probe_BT, return_inverse=True)
    exact = torch.promote_types(network.embedding.weight.dtype, torch.float32)
    one_hot_BTU = nn.functional.one_hot(index_BT, len(tokens_U)).to(exact)
    scores = []
    for name in names:
        part, layer = name.split(".")[0], int(name.split(".")[1])
        prediction_head = layer if part == "prediction" else 1
        ahead = 1 if network.spec.kind.teacher_forced else prediction_head
        pattern_BHTT, values_BTHK = found[f"{name}.pattern"], found[f"{name}.values"]
        back = period - 1 - (ahead - 1) % period  # to the last occurrence: the present position if `ahead` is a period
        matched_H = pattern_BHTT[:, :, second, second - back].mean((0, 2))
        previous_H = pattern_BHTT.diagonal(-1, 2, 3).mean((0, 2))
        readout_UD = network.unembedding.of_head(prediction_head)[tokens_U].to(exact) * network.norm.weight
        copying_H = _copying(attentions[name].out.weight, values_BTHK, pattern_BHTT, one_hot_BTU, readout_UD)
        each = zip(matched_H.tolist(), copying_H.tolist(), previous_H.tolist(), strict=True)
        scores += [AttentionScore(part, layer, number, *values) for number, values in enumerate(each)]
    return scores


def score_metrics(scores: list[AttentionScore], period: int) -> dict[str, float]:
    """Return scores as metrics: `prefix_matching/trunk.0/2` (layer 0, attention head 2), the best of each part, and chance.

    `prefix_matching/trunk` and `copying/trunk` belong to the trunk's attention head that matches prefixes best. At equal
    parameters the trunk has fewer attention heads to choose from if there are more prediction heads.
    `prefix_matching/chance` is the score of uniform attention.

    Args:
        scores: From `attention_scores`.
        period: Of their probe.
    """
    values = {str(Metric("prefix_matching/chance")): chance(period)}

    def add(score: AttentionScore, site: str, attention_head: int | None = None) -> None:
        for name, value in (("prefix_matching", score.prefix_matching), ("copying", score.copying)):
            values[str(Metric(name, site=site, attention_head=attention_head))] = value

    for score in scores:
        add(score, f"{score.part}.{score.layer}", score.attention_head)
    for part in dict.fromkeys(score.part for score in scores):
        best = max((score for score in scores if score.part == part), key=lambda score: score.prefix_matching)
        add(best, part)
    return values


def in_context_score(losses_BT: Tensor, counted_BT: Tensor) -> float:
    """Return the in-context-learning score: loss late in the context minus loss early in it, nats; lower is better.

    Olsson et al. take token 500 minus token 50 of 512. Here a tenth of a sequence's targets around each of these two positions,
    at least one: those that end at 98 % and those around 10 % of them. Each sequence has the same weight.

    Args:
        losses_BT: (B, T) next-token losses in nats.
        counted_BT: (B, T) bool, whether there is a target, some in every sequence: not in padding, nor at the last position.
    """
    number_BT = counted_BT.cumsum(1) - 1
    length_B1 = counted_BT.sum(1, keepdim=True)
    window_B1 = (length_B1 // 10).clamp(min=1)
    early_B1 = (length_B1 // 10 - window_B1 // 2).clamp(min=0)
    late_B1 = torch.maximum(window_B1, (0.98 * length_B1).round().long()) - window_B1

    def mean(begin_B1: Tensor) -> Tensor:
        inside_BT = counted_BT & (number_BT >= begin_B1) & (number_BT < begin_B1 + window_B1)
        return (losses_BT.double() * inside_BT).sum(1) / window_B1[:, 0]

    return float((mean(late_B1) - mean(early_B1)).mean())


def _copying(output_DD: Tensor, values_BTHK: Tensor, pattern_BHTT: Tensor, one_hot_BTU: Tensor, readout_UD: Tensor) -> Tensor:
    """Compute copying scores (H,), in the precision of `readout_UD`.

    An attention head's output goes directly to the unembedding. The final norm's scale is left out, since it does not change a
    correlation.
    """
    exact = readout_UD.dtype
    values_BHTK = values_BTHK.transpose(1, 2).to(exact)
    n_heads, head_width = values_BHTK.shape[1], values_BHTK.shape[3]
    out_HKD = output_DD.to(exact).T.view(n_heads, head_width, -1)
    per_source_BHTU = values_BHTK @ (out_HKD @ readout_UD.T)
    logits_BHTU = pattern_BHTT @ per_source_BHTU
    attended_BHTU = pattern_BHTT @ one_hot_BTU[:, None]
    logits_BHTU = logits_BHTU - logits_BHTU.mean(-1, keepdim=True)
    attended_BHTU = attended_BHTU - attended_BHTU.mean(-1, keepdim=True)
    return nn.functional.cosine_similarity(logits_BHTU, attended_BHTU, dim=-1).mean((0, 2))
