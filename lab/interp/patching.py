"""Activation patching: run a network on one sequence with a state taken from another sequence.

If the state decides what is predicted later, the prediction follows the sequence that the state comes from: an interchange
intervention (Geiger et al. 2021, arXiv 2106.02997), or causal tracing (Meng et al. 2022, arXiv 2202.05262).

B sequences, C pairs of sequences, T positions, D width, V vocabulary.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.errors import LabError, check_count, check_head
from lab.interp.components import Component, components, stream_components, substitute
from lab.interp.pairs import Pairs, align, draw_pairs
from lab.model import Context, Network, edited, states
from tasks import Task
from tasks.core.batch import PADDING


@torch.no_grad()
def patch_position(network: Network, tokens_BT: Tensor, sources_BT: Tensor, name: str, position: int, head: int = 1) -> Tensor:
    """Compute logits of sequences in which the activation at one position comes from other sequences.

    Args:
        network: The network.
        tokens_BT: (B, T) int64.
        sources_BT: (B, T) int64, whose activations are taken, sequence by sequence.
        name: Of the activation, (B, T, ...); see `lab.model.sites`.
        position: From 0.
        head: Prediction head whose logits are computed, counted from 1.

    Returns:
        (B, T, V) logits.

    Raises:
        LabError: If there is no such activation or position, or the activation has no positions to patch: an attention
            pattern; or the embedding, if the prediction head reads the embeddings of later tokens besides.
    """
    if name.endswith(".pattern"):
        raise LabError(f"{name} cannot be patched at a position; edit it with lab.model.edited")
    if name == "embedding" and head > 1 and network.spec.kind.teacher_forced:
        raise LabError(
            f"embedding cannot be patched for prediction head {head}, which is teacher-forced: it reads later tokens"
        )
    if not 0 <= position < tokens_BT.shape[1]:
        raise LabError(f"position must be between 0 and {tokens_BT.shape[1] - 1}, not {position}")
    source = states(network, sources_BT, [name])[name]

    def patch(activation: Tensor) -> Tensor:
        patched = activation.clone()
        patched[:, position] = source[:, position]
        return patched

    with edited(network, {name: patch}):
        return network.logits(tokens_BT, head)


@torch.no_grad()
def patch_grid(network: Network, pairs: Pairs, head: int = 1, window: int = 3) -> pd.DataFrame:
    """Patch every state at every named position, from the clean run into the corrupted one and the reverse.

    A run's logit difference is the mean over pairs of the logit of the right answer minus that of the corrupted one. Patched
    into the corrupted run, a state restores (patched - corrupted) / (clean - corrupted) of it; patched into the clean run it
    removes (clean - patched) / (clean - corrupted).

    Args:
        network: The network.
        pairs: The pairs.
        head: Prediction head that predicts the answer.
        window: As of `align`.

    Returns:
        As `patching`.

    Raises:
        LabError: If the prediction head reads tokens ahead, or no position is before its prediction.
    """
    if head > 1 and network.spec.kind.teacher_forced:
        raise LabError(f"prediction head {head} is teacher-forced: it reads tokens ahead, so that its states cannot be patched")
    patcher, columns = _Patcher(network, pairs, head), align(pairs, head, window)
    corrupted, clean = patcher.differences.view(2, -1).mean(1).tolist()
    rows = [("none", "", -1, "", "", name, value) for name, value in (("clean", clean), ("corrupted", corrupted))]
    roles = {name: _common(pairs.roles_CT[where_CT.cpu().numpy()]) for name, where_CT in columns.items() if name != "between"}
    for component in [*stream_components(network, head), *components(network, head)]:
        if component.kind not in ("layer", "prediction head"):
            for name, where_CT in columns.items():
                shares = zip(("restored", "removed"), patcher.shares(component, where_CT), strict=True)
                where = (component.kind, component.site, component.attention_head, name, roles.get(name, ""))
                rows += [(*where, quantity, value) for quantity, value in shares]
    return pd.DataFrame(rows, columns=["component", "site", "attention_head", "position", "role", "quantity", "value"])


def patching(
    network: Network,
    task: Task,
    *,
    head: int = 1,
    window: int = 3,
    sequences: int = 128,
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the share of the logit difference that each state carries, by layer, component and position, on contrasts.

    Args:
        network: Any network.
        task: Its task, with contrasts (`task.contrast`).
        head: Prediction head that predicts the answer, from 1.
        window: Positions that are patched singly, after the changed one and before the answer; those between are patched
            together.
        sequences: Number of sequences, each patched from its contrast and into it.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `component` (`residual`, `attention`, `mlp`, `attention head`; `none` for a run without a patch), `site` (its layer, or
        `embedding`), `attention_head` (from 0; -1 for other components), `position` (named as in `align`), `role` (the most
        frequent of the tokens there), `quantity` (`restored`, `removed`: shares, nan where the clean run does not prefer the
        right answer more than the corrupted one; `clean`, `corrupted`: logit differences of the runs, nats), `value`.

    Raises:
        LabError: If an option has no such value, the task has no contrasts, or the prediction head reads tokens ahead.
    """
    check_head(head, network.n_future)
    window = check_count("window", window, least=0)
    return patch_grid(network, draw_pairs(network, task, sequences, split, seed, head), head, window)


class _Patcher:
    """Both runs of all pairs, corrupted ones first, with the activations that are patched from each into the other.

    Attributes:
        differences: (2 C,) logit differences.
    """

    def __init__(self, network: Network, pairs: Pairs, head: int) -> None:
        length = int(pairs.answer_C.max())  # nothing later counts
        self.network, self.head = network, head
        self.inputs = torch.cat([pairs.corrupted_CT, pairs.clean_CT])[:, :length]
        self.positions = (pairs.answer_C - head).repeat(2)  # where the answer is predicted
        matrix = network.unembedding.of_head(head)
        self.directions = (matrix[pairs.right_C] - matrix[pairs.wrong_C]).repeat(2, 1)
        every = [*stream_components(network, head), *components(network, head)]
        self.found = states(network, self.inputs, {name: None for component in every for name in component.activations})
        self.differences = self._difference(torch.arange(len(self.inputs)), Context())

    def shares(self, component: Component, where_CT: Tensor) -> tuple[float, float]:
        """Compute the shares of the logit difference that a patch restores in the corrupted run and removes from the clean."""
        count = len(where_CT)
        index = where_CT.any(1).nonzero()[:, 0].cpu()
        both, others = torch.cat([index, index + count]), torch.cat([index + count, index])
        (name,) = component.activations
        where = where_CT[index, : self.inputs.shape[1]].repeat(2, 1)
        edit = substitute(self.found[name][others], component.attention_head, where)
        part, _, number = component.site.partition(".")
        if component.kind == "residual" and part != "prediction":
            layers = 1 + int(number) if number else 0
            patched = self._difference(both, Context(computed=(layers, edit(self.found[name][both]))))
        else:
            layers = int(number) if part == "trunk" else self.network.layers_before(self.head)
            before = self.found[f"trunk.{layers - 1}.residual" if layers else "embedding"][both]
            with edited(self.network, {name: edit}):
                patched = self._difference(both, Context(computed=(layers, before)))
        corrupted, clean = self.differences[both].view(2, -1).mean(1).tolist()
        into_corrupted, into_clean = patched.view(2, -1).mean(1).tolist()
        if clean <= corrupted:
            return math.nan, math.nan
        return (into_corrupted - corrupted) / (clean - corrupted), (clean - into_clean) / (clean - corrupted)

    def _difference(self, index: Tensor, context: Context) -> Tensor:
        """Compute the logit differences of some of the runs, in float64."""
        hidden_BTD = self.network(self.inputs[index], [self.head], context)[0]
        states_BD = hidden_BTD[torch.arange(len(index)), self.positions[index]]
        differences: Tensor = (states_BD.double() * self.directions[index].double()).sum(-1)
        return differences


def _common(roles: NDArray[np.str_]) -> str:
    """Return the most frequent role; "" if it is padding."""
    names, counts = np.unique(roles, return_counts=True)
    found = str(names[counts.argmax()])
    return "" if found == PADDING else found
