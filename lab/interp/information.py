"""The two-token decomposition of the loss (Gloeckle et al. 2024, section 5.2, appendix L.2), in data and in a network.

X is the next token and Y the one after it, given a context: H(X) + H(Y) = H(X|Y) + 2 I(X;Y) + H(Y|X). R contexts, B sequences,
T positions, V vocabulary. Everything is in nats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy
from torch import Tensor

from lab.errors import LabError
from lab.interp.sequences import draw_sequences
from lab.model import Context, Network
from tasks import Batch, Task

Floats = NDArray[np.float64]
MOST_TOKENS = 256
"""Largest vocabulary: the network has to read each of its tokens as the next one."""
_CHUNK = 64
"""Sequences in a forward pass."""


class Parts(NamedTuple):
    """Terms of the decomposition, (R,) each, nats: entropies of the data, or cross-entropies of a model.

    Attributes:
        next: H(X), or H(p_X, q_X).
        after: H(Y), or H(p_Y, q_Y).
        next_given_after: H(X|Y), or H(p_X|Y, q_X|Y).
        shared: I(X;Y), or I_p||q(X;Y) = D(p || q_X q_Y) - D(p || q), which can be negative.
        after_given_next: H(Y|X), or H(p_Y|X, q_Y|X).
    """

    next: Floats
    after: Floats
    next_given_after: Floats
    shared: Floats
    after_given_next: Floats


PARTS = dict(zip(Parts._fields, ("H(X)", "H(Y)", "H(X|Y)", "I(X;Y)", "H(Y|X)"), strict=True))
"""The terms as they are reported."""


def decompose_loss(joint_RVV: Floats, log_model_RVV: Floats) -> Parts:
    """Compute the terms of Lemma L.3 for data p and a model q; each from its own definition.

    By the lemma `next` = `next_given_after` + `shared` and `after` = `after_given_next` + `shared`.

    Args:
        joint_RVV: p(x, y).
        log_model_RVV: log q(x, y), finite.
    """
    log_next_RV1 = logsumexp(log_model_RVV, axis=2, keepdims=True)
    log_after_R1V = logsumexp(log_model_RVV, axis=1, keepdims=True)

    def cross_entropy(log_model: Floats) -> Floats:
        terms: Floats = -(joint_RVV * log_model).sum(axis=(1, 2))
        return terms

    return Parts(
        cross_entropy(log_next_RV1),
        cross_entropy(log_after_R1V),
        cross_entropy(log_model_RVV - log_after_R1V),
        cross_entropy(log_next_RV1 + log_after_R1V - log_model_RVV),
        cross_entropy(log_model_RVV - log_next_RV1),
    )


def decompose_entropy(joint_RVV: Floats) -> Parts:
    """Compute the terms of the decomposition of the data: entropies, conditional entropies and mutual information."""

    def entropy(chances: Floats) -> Floats:
        return np.asarray(-xlogy(chances, chances).reshape(len(chances), -1).sum(axis=1))

    both, first, second = entropy(joint_RVV), entropy(joint_RVV.sum(axis=2)), entropy(joint_RVV.sum(axis=1))
    return Parts(first, second, both - second, first + second - both, both - first)


@torch.no_grad()
def model_joint(network: Network, prefixes_Bt: Tensor) -> Floats:
    """Compute log q(x, y) = log q_1(x) + log q_1(y | x) of the next two tokens by prediction head 1, run one token further.

    One pass reads all tokens x: each follows the prefix and attends to none of the others.

    Args:
        network: The network; not teacherless, since that one reads hidden tokens.
        prefixes_Bt: (B, t) int64, t >= 1.

    Returns:
        (B, V, V) float64.
    """
    count, V = prefixes_Bt.shape[1], network.spec.vocabulary
    device = prefixes_Bt.device
    position_S = torch.arange(count + V, device=device)
    mask_SS = (position_S[:, None] >= position_S) & (position_S < count) | torch.eye(count + V, dtype=torch.bool, device=device)
    context = Context(positions=position_S.clamp(max=count), mask=mask_SS)
    chunks = []
    for part_Bt in torch.split(prefixes_Bt, _CHUNK):
        every_BV = torch.arange(V, device=device).expand(len(part_Bt), V)
        hidden_BSD = network(torch.cat([part_Bt, every_BV], dim=1), [1], context)[0, :, count - 1 :]
        log_BSV = network.unembed(hidden_BSD, 1).float().cpu().double().log_softmax(-1)
        chunks.append(log_BSV[:, 0, :, None] + log_BSV[:, 1:])
    return np.asarray(torch.cat(chunks).numpy())


@torch.no_grad()
def information(
    network: Network, task: Task, *, sequences: int = 128, split: str = "validation", seed: int = 0
) -> pd.DataFrame:
    """Decompose the losses of the next two tokens into shared and conditional parts, in the data and in the network.

    Averages over the contexts in which both tokens are scored targets, by the role of the next token. The data's joint
    distribution is exact, so that nothing is sampled but the contexts.

    Args:
        network: A network with at most 256 tokens, not teacherless.
        task: Its task, which gives the joint distribution of the next two tokens.
        sequences: Number of sequences.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        `role` (of the next token, or `all`), `source`, `quantity`, `value` (nats). From the source `data` the entropies H(X),
        H(Y), H(X|Y), I(X;Y), H(Y|X); from `model` the cross-entropies of the same names by head 1, run one token further
        (`Parts`); from `head 2` H(Y), its expected loss, if there is such a head that does not read X.

    Raises:
        LabError: If the network is teacherless or has too many tokens, or the task does not give such distributions.
        TaskError: For a wrong number of sequences, split or seed.
    """
    if network.spec.teacherless:
        raise LabError("information needs a network that reads the next token; objective.teacherless hides it")
    if network.spec.vocabulary > MOST_TOKENS:
        raise LabError(
            f"information needs at most {MOST_TOKENS} tokens, not {network.spec.vocabulary}: it runs each as the next"
        )
    drawn = draw_sequences(network, task, sequences, split, seed)
    log_second_BTV = (
        None if network.n_future == 1 or network.spec.kind.teacher_forced else _log_second(network, drawn.inputs_BT)
    )
    outside = network.spec.vocabulary - task.vocab_size
    tables = []
    for position, rows_R, joint_RVV in _contexts(task, drawn.batch, drawn.batch.scored):
        joint_RVV = np.pad(joint_RVV, ((0, 0), (0, outside), (0, outside)))
        log_model_RVV = model_joint(network, drawn.inputs_BT[torch.from_numpy(rows_R), : position + 1])
        columns = _columns("data", decompose_entropy(joint_RVV)) | _columns("model", decompose_loss(joint_RVV, log_model_RVV))
        if log_second_BTV is not None:
            columns["head 2", "H(Y)"] = -(joint_RVV.sum(axis=1) * log_second_BTV[rows_R, position]).sum(axis=1)
        tables.append(pd.DataFrame(columns, index=drawn.batch.roles[rows_R, position + 1]))
    every = pd.concat([pd.DataFrame(), *tables])
    if every.empty:
        raise LabError(f"{task.name} gives no joint distribution of two scored tokens (Task.joint), which information needs")
    means = [("all", every.mean()), *((task.roles[int(str(role))], rows.mean()) for role, rows in every.groupby(level=0))]
    rows = [(role, source, quantity, values[source, quantity]) for role, values in means for source, quantity in values.index]
    return pd.DataFrame(rows, columns=["role", "source", "quantity", "value"])


def task_information(task: Task, *, sequences: int = 512, split: str = "validation", seed: int = 0) -> pd.DataFrame:
    """Compute the exact decomposition of the next two tokens of a task, by the role of the next token.

    Args:
        task: A task.
        sequences: Number of sequences whose contexts are averaged.
        split: Split from which they are drawn.
        seed: Of the sequences.

    Returns:
        A row for each role: `role`, `contexts` (their number), `scored` (share in which both tokens are scored targets), and in
        nats `H(X)`, `H(Y)`, `H(X|Y)`, `I(X;Y)`, `H(Y|X)`. Empty if the task gives no such distribution.

    Raises:
        TaskError: For a wrong number of sequences, split or seed.
    """
    batch = task.batch(seed, 0, sequences, split)
    tables = [pd.DataFrame({"role": [], "contexts": [], "scored": []})]
    for position, rows_R, joint_RVV in _contexts(task, batch, batch.roles != 0):
        parts = dict(zip(PARTS.values(), decompose_entropy(joint_RVV), strict=True))
        scored_R = batch.scored[rows_R, position + 1] & batch.scored[rows_R, position + 2]
        tables.append(pd.DataFrame({"role": batch.roles[rows_R, position + 1], "contexts": 1, "scored": scored_R, **parts}))
    every = pd.concat(tables[1:] or tables, ignore_index=True)
    by_role = every.groupby("role")
    table = by_role.mean().assign(contexts=by_role.size()).reset_index()
    return table.assign(role=[task.roles[int(role)] for role in table["role"]])


def _contexts(task: Task, batch: Batch, counts_BT: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64], Floats]]:
    """Find the contexts for which a task states the joint distribution of the next two tokens.

    Args:
        task: The task.
        batch: Sequences.
        counts_BT: Which tokens count as X or Y.

    Yields:
        Position of the context's last token; indices of the sequences in which X and Y count, (R,); their joint
        distributions, (R, V, V).
    """
    for position in range(task.length - 2):
        rows_R = np.flatnonzero(counts_BT[:, position + 1] & counts_BT[:, position + 2])
        joint_BVV = task.joint(batch, position) if len(rows_R) else None
        if joint_BVV is not None:
            yield position, rows_R, joint_BVV[rows_R]


def _columns(source: str, parts: Parts) -> dict[tuple[str, str], Floats]:
    return {(source, name): values for name, values in zip(PARTS.values(), parts, strict=True)}


def _log_second(network: Network, inputs_BT: Tensor) -> Floats:
    """Compute log-probabilities (B, T, V) of prediction head 2."""
    chunks = [network.logits(part_BT, 2).float().cpu().double() for part_BT in torch.split(inputs_BT, _CHUNK)]
    return np.asarray(torch.cat(chunks).log_softmax(-1).numpy())
