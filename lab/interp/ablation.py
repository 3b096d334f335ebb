"""Ablation: what a network predicts without an attention head, an attention layer, an MLP, a layer, or a prediction head.

B sequences, T positions, D width, R targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.errors import LabError, check_head
from lab.interp.components import Component, components, substitute
from lab.interp.sequences import Sequences, draw_sequences
from lab.metrics import EVERY_TARGET, headline_metric
from lab.model import Context, Network, edited, site_names, states
from lab.objectives import IGNORE, future_targets
from tasks import Task

HOW = ("zero", "mean", "resample")
CHOSEN, OTHERS = "chosen", "others"
"""In place of the layer: the strongest component of its kind on another split, and the mean of those it is compared with."""


class Targets(NamedTuple):
    """The R targets of a prediction head.

    Attributes:
        head: The prediction head, counted from 1.
        positions_BT: bool, the positions at which it predicts them.
        tokens_R: int64, the tokens to predict there.
    """

    head: int
    positions_BT: Tensor
    tokens_R: Tensor


@torch.no_grad()
def clean_states(network: Network, inputs_BT: Tensor, head: int = 1) -> dict[str, Tensor]:
    """Compute what `ablated` needs for the components of a prediction head: activations of an unedited pass by name."""
    needed = {name for component in components(network, head) for name in component.activations}
    stream = [name for name in site_names(network, head) if name == "embedding" or name.endswith(".residual")]
    return states(network, inputs_BT, [*needed.difference(stream), *stream])


@contextmanager
def ablated(network: Network, clean: Mapping[str, Tensor], removed: Iterable[Component], how: str = "zero") -> Iterator[None]:
    """Ablate some components together in every forward pass inside.

    Args:
        network: The network.
        clean: From `clean_states`, on the sequences that the passes inside read.
        removed: The components.
        how: What takes the place of their activations. `zero`; `mean`: the mean over sequences and positions; `resample`: the
            activation at the same position of the sequence before in the batch, for the first one that of the last.

    Raises:
        LabError: If `how` is none of these, or a single sequence is resampled.
    """
    if how not in HOW:
        raise LabError(f"how must be one of {', '.join(HOW)}, not {how!r}")
    with ExitStack() as stack:
        for component in removed:
            for name in component.activations:
                edit = substitute(_replacement(clean[name], how), component.attention_head)
                stack.enter_context(edited(network, {name: edit}))
        yield


def find_targets(drawn: Sequences, task: Task, head: int = 1, role: str = "") -> Targets:
    """Find the targets of a prediction head.

    Args:
        drawn: Sequences.
        task: Their task.
        head: Counted from 1.
        role: Of the targets; `all` for all scored ones; "" for that of the task's headline, `all` if it has none.

    Raises:
        LabError: If there are no such targets.
        TaskError: If there is no such role.
    """
    role = role or headline_metric(task.headline).role or EVERY_TARGET
    counted_BT = drawn.scored_BT if role == EVERY_TARGET else drawn.roles_BT == task.role(role)
    targets_BT = future_targets(drawn.tokens_BT, counted_BT, head)[-1]
    positions_BT = targets_BT != IGNORE
    if not positions_BT.any():
        raise LabError(f"prediction head {head} has no target of the role {role} in these sequences")
    return Targets(head, positions_BT, targets_BT[positions_BT])


@torch.no_grad()
def measure_effects(network: Network, inputs_BT: Tensor, targets: Targets, how: str = "zero") -> pd.DataFrame:
    """Measure a prediction head without each of its components. Layers before a component are computed once for all.

    Args:
        network: The network.
        inputs_BT: int64.
        targets: Of the prediction head.
        how: As of `ablated`.

    Returns:
        `component`, `site`, `attention_head` (as of `Component`), `accuracy`, `loss` (nats). The first row is the whole
        network, `none`.
    """
    clean = clean_states(network, inputs_BT, targets.head)
    stream = [(0, clean["embedding"])]
    layers = range(1, network.layers_before(targets.head) + 1)
    stream += [(layer, clean[f"trunk.{layer - 1}.residual"]) for layer in layers]
    rows = [("none", "", -1, *_score(network, inputs_BT, targets, stream[-1]))]
    for component in components(network, targets.head):
        part, number = component.site.split(".")
        before = stream[int(number) if part == "trunk" else -1]
        with ablated(network, clean, [component], how):
            rows.append(
                (component.kind, component.site, component.attention_head, *_score(network, inputs_BT, targets, before))
            )
    return pd.DataFrame(rows, columns=["component", "site", "attention_head", "accuracy", "loss"])


def select_and_test(selection: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Choose the strongest component of each kind by one table of effects, and return its effects in another.

    The strongest of many components on some sequences is so in part by chance; its effect on other sequences is unbiased. It is
    compared with a component drawn at random: from the other attention heads of its layer, or else from the others of its kind.
    That component's expected effect is the mean of theirs, which has no noise of the draw.

    Args:
        selection: From `measure_effects`, on the sequences by which the component with the largest loss is chosen.
        test: From `measure_effects` of the same network, on other sequences.

    Returns:
        As `test`, with two rows for each kind that has a choice, whose `site` is `CHOSEN` and `OTHERS`.
    """
    rows = []
    for kind, part in selection[selection["component"] != "none"].groupby("component", sort=False):
        strongest = part.iloc[int(part["loss"].argmax())]
        others = part[part["site"] == strongest["site"]] if strongest["attention_head"] >= 0 else part
        others = others.drop(index=strongest.name)
        if len(others):
            for site, numbers in ((CHOSEN, [strongest.name]), (OTHERS, others.index)):
                rows.append((kind, site, -1, *test.loc[numbers, ["accuracy", "loss"]].mean()))
    return pd.DataFrame(rows, columns=test.columns)


@torch.no_grad()
def ablation(
    network: Network,
    task: Task,
    *,
    how: str = "zero",
    head: int = 1,
    role: str = "",
    chosen_on: str = "",
    sequences: int = 512,
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Measure accuracy and loss without each attention head, attention layer, MLP, layer and prediction head.

    Selection and test are separate with `chosen_on`: the component of each kind with the largest effect on that split is
    measured on `split`, and beside it the mean of those that might have been chosen at random: the other attention heads of its
    layer, or the others of its kind.

    Args:
        network: Any network.
        task: Its task.
        how: What takes the place of a component's activation: `zero`, `mean` (over sequences and positions) or `resample` (from
            another sequence).
        head: Prediction head whose targets are measured, from 1.
        role: Role of the targets (that of the task's headline; all scored targets if it has none).
        chosen_on: Another split, on which the strongest component of each kind is chosen (none).
        sequences: Number of sequences.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `component` (a kind of `Component`; `none` for the whole network), `site` (its layer; `chosen` and `others` with
        `chosen_on`), `attention_head` (from 0; -1 for other components), `quantity` (`accuracy`, `loss` in nats; of components
        also `accuracy lost` and `loss added`, against the whole network), `value`.

    Raises:
        LabError: If an option has no such value, or there are no such targets.
    """
    if chosen_on == split:
        raise LabError(f"chosen_on must be another split than {split}, on which the chosen component is measured")
    check_head(head, network.n_future)

    def effects(split: str) -> pd.DataFrame:
        drawn = draw_sequences(network, task, sequences, split, seed)
        return measure_effects(network, drawn.inputs_BT, find_targets(drawn, task, head, role), how)

    table = effects(split)
    whole = table.iloc[0]
    if chosen_on:
        table = pd.concat([table, select_and_test(effects(chosen_on), table)], ignore_index=True)
    table["accuracy lost"], table["loss added"] = whole["accuracy"] - table["accuracy"], table["loss"] - whole["loss"]
    rows = table.melt(["component", "site", "attention_head"], var_name="quantity", ignore_index=False).sort_index(
        kind="stable"
    )
    return rows[(rows["component"] != "none") | rows["quantity"].isin(["accuracy", "loss"])].reset_index(drop=True)


def _replacement(clean: Tensor, how: str) -> Tensor:
    if how == "zero":
        return torch.zeros_like(clean)
    if how == "mean":
        return clean.mean((0, 1)).expand_as(clean)
    if len(clean) < 2:
        raise LabError("sequences must be at least 2 to resample from another one")
    return clean.roll(1, 0)


def _score(network: Network, inputs_BT: Tensor, targets: Targets, computed: tuple[int, Tensor]) -> tuple[float, float]:
    """Compute accuracy and loss of a prediction head, from the trunk layers that are computed already."""
    hidden_BTD = network(inputs_BT, [targets.head], Context(computed=computed))[0]
    logits_RV = network.unembedding(hidden_BTD[targets.positions_BT], targets.head).float()
    accuracy = (logits_RV.argmax(-1) == targets.tokens_R).double().mean()
    return float(accuracy), float(F.cross_entropy(logits_RV.double(), targets.tokens_R))
