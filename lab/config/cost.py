"""What a network costs, in closed form from its settings: depth of the trunk, parameters, FLOPs.

d width, L layers, T row length, V vocabulary, n prediction heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.config.kinds import KINDS, Blocks

if TYPE_CHECKING:
    from lab.config.model import ModelSettings


def inner_width(width: int, mlp: str) -> int:
    """Width inside the feed-forward part: 4 d, or for the gated one 8/3 d to a multiple of 8, which matrix products like."""
    return 4 * width if mlp == "gelu" else max(8, 8 * round(width / 3))


def matrix_parameters(model: ModelSettings, blocks: Blocks) -> int:
    """Entries of all matrices, each of which is multiplied once with every position."""
    mlp = (2 if model.mlp == "gelu" else 3) * model.width * inner_width(model.width, model.mlp)
    return blocks.layers * (4 * model.width**2 + mlp) + blocks.squares * model.width**2


def block_parameters(model: ModelSettings, blocks: Blocks) -> int:
    """All parameters: matrices and gains, two of which belong to each layer."""
    return matrix_parameters(model, blocks) + (2 * blocks.layers + blocks.gains) * model.width


def trunk_layers(model: ModelSettings, n_future: int) -> int:
    """Layers that all prediction heads share.

    At equal parameters the number that brings trunk and heads closest to the L layers of a plain network, the smaller of two
    that are as close: L - n where each head is one layer. At equal depth what is left of L on the next-token path. Otherwise
    the trunk of n = 1 at equal parameters, heads 2..n coming on top ("+Layers").
    """
    kind = KINDS[model.heads]
    if model.matched == "layers":
        return model.layers - kind.path_layers(n_future)
    heads = block_parameters(model, kind.blocks(n_future if model.matched == "parameters" else 1))
    layer = block_parameters(model, Blocks(layers=1))
    return max(0, model.layers - (2 * heads + layer) // (2 * layer))


def all_blocks(model: ModelSettings, n_future: int) -> Blocks:
    """Trunk, prediction heads and the norm before the unembedding."""
    return KINDS[model.heads].blocks(n_future).plus(Blocks(layers=trunk_layers(model, n_future), gains=1))


def non_embedding_parameters(model: ModelSettings, n_future: int) -> int:
    """Parameters of trunk, prediction heads and norms: what the paper's sizes count."""
    return block_parameters(model, all_blocks(model, n_future))


def flops_per_token(model: ModelSettings, n_future: int, length: int, vocabulary: int) -> int:
    """Floating-point operations of training on one token, forward and backward.

    Counted are matrix products, 2 m n k for (m, k) times (k, n), as torch's FlopCounterMode counts them: every matrix once
    forward and twice backward, the unembedding of every prediction head among them; and attention over the whole T x T square,
    two products forward and four backward. It is what the network asks for, whatever kernel does it: what a kernel forms
    again, or leaves out of the masked half, changes nothing. Not counted are norms, softmax, activations, rotary positions,
    residual sums, the look-up of embeddings, the loss itself, clipping and the optimiser.
    """
    blocks = all_blocks(model, n_future)
    matrices = matrix_parameters(model, blocks) + n_future * vocabulary * model.width
    attention = blocks.layers * length * model.width
    return 6 * matrices + 12 * attention
