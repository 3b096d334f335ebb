"""The cost of a network in closed form from its settings: depth of the trunk, parameters, FLOPs.

d width, L layers, T sequence length, V vocabulary, n prediction heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.config.kinds import LAYER, ParameterCounts, find_kind

if TYPE_CHECKING:
    from lab.config.model import ModelSettings


def inner_width(width: int, mlp: str) -> int:
    """Return the default inner width of the MLP: 4 d for `gelu`, 8/3 d for `swiglu`, to the nearest multiple of 8."""
    return 4 * width if mlp == "gelu" else max(8, 8 * round(width / 3))


def matrix_parameters(model: ModelSettings, counts: ParameterCounts) -> int:
    """Return the entries of all matrices, each of which is multiplied once with every position."""
    inner = model.inner_width or inner_width(model.width, model.mlp)
    mlp = (2 if model.mlp == "gelu" else 3) * model.width * inner
    return counts.mlps * mlp + int((4 * counts.attentions + counts.square_matrices) * model.width**2)


def count_parameters(model: ModelSettings, counts: ParameterCounts) -> int:
    """Return all parameters of these parts: entries of matrices and norm weights."""
    return matrix_parameters(model, counts) + counts.norms * model.width


def trunk_layers(model: ModelSettings, n_future: int) -> int:
    """Return the number of layers that all prediction heads share.

    At equal parameters the number that brings trunk and heads closest to the L layers of a plain network, the smaller of two
    that are as close: L - n if each head is one layer. At equal depth L minus the whole layers of the heads on the next-token
    path, so that a head of less than one layer (a matrix, an MLP alone) takes none. Otherwise the trunk of n = 1 at equal
    parameters, with heads 2..n on top ("+Layers").
    """
    kind = find_kind(model.heads)
    if model.matched == "layers":
        return model.layers - kind.path_layers(n_future)
    heads = count_parameters(model, kind.counts(n_future if model.matched == "parameters" else 1))
    layer = count_parameters(model, LAYER)
    return max(0, model.layers - (2 * heads + layer) // (2 * layer))


def network_counts(model: ModelSettings, n_future: int) -> ParameterCounts:
    """Count the parts of trunk, prediction heads and the final norm."""
    trunk = LAYER * trunk_layers(model, n_future)
    return trunk + find_kind(model.heads).counts(n_future) + ParameterCounts(norms=1)


def non_embedding_parameters(model: ModelSettings, n_future: int) -> int:
    """Return the parameters of trunk, prediction heads and norms: those that the paper's sizes count."""
    return count_parameters(model, network_counts(model, n_future))


def flops_per_token(model: ModelSettings, n_future: int, length: int, vocabulary: int) -> int:
    """Return the floating-point operations of training on one token, forward and backward.

    Counts matrix products, 2 m n k for (m, k) times (k, n), as torch's FlopCounterMode does: every matrix once forward and
    twice backward, with the unembedding once for each prediction head; and attention over all T x T pairs, two products
    forward and four backward. Parts that heads share (`HeadKind.shared`) count n times, with n x n pairs at each position. The
    count belongs to the network and not to a kernel: recomputed scores, or a masked half that
    is left out, do not change it. Norms, softmax, activations, rotary positions, residual sums, the embedding look-up, the
    loss itself, clipping and the optimiser are not counted.
    """
    counts, shared = network_counts(model, n_future), find_kind(model.heads).shared_by(n_future)
    matrices = matrix_parameters(model, counts + shared * (n_future - 1)) + n_future * vocabulary * model.width
    attended = (counts.attentions - shared.attentions) * length + shared.attentions * n_future**2
    return 6 * matrices + 12 * attended * model.width
