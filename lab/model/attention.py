"""Causal attention with rotary positions, from projected queries, keys and values to the mixed values.

B rows, T positions, H attention heads, K width of one attention head. On a CPU, rows of up to `LONGEST` positions go through
plain products of blocks of queries (`_BlockedAttention`), which is faster there than torch's kernel forward and backward;
everything else is torch's `scaled_dot_product_attention`. What was measured is in docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lab.model.kernels import rotate

LONGEST = 512
"""Positions up to which attention weights are held, (B, H, T, T) for each layer."""
_BLOCK = 64
"""Queries that are taken together: they look only at keys up to their own end, so that most of the future is never computed."""
_FUTURE = torch.full((_BLOCK, LONGEST + _BLOCK), -torch.inf).triu(1 + LONGEST)
"""What is added to the scores of a block's queries: to those of `LONGEST` keys before it, and of its own."""


def rotary_attention(qkv_BT3HK: Tensor, turns: Tensor) -> Tensor:
    """Softmax attention in which position t looks at positions up to t, with rotary positions.

    Args:
        qkv_BT3HK: Queries, keys and values before their positions are applied.
        turns: (T, 1, 1, K / 2, 2) float32, cosine and sine.

    Returns:
        (B, T, H, K).
    """
    in_blocks = qkv_BT3HK.device.type == "cpu" and qkv_BT3HK.shape[1] <= LONGEST
    if in_blocks and not torch.compiler.is_compiling():
        mixed: Tensor = _BlockedAttention.apply(qkv_BT3HK, turns)  # type: ignore[no-untyped-call]
        return mixed
    queries, keys = rotate(qkv_BT3HK[:, :, :2], turns).transpose(1, 3).unbind(2)
    values = qkv_BT3HK[:, :, 2].transpose(1, 2)
    if in_blocks:
        return _in_blocks(queries, keys, values).transpose(1, 2)
    return F.scaled_dot_product_attention(queries, keys, values, is_causal=True).transpose(1, 2)


def _in_blocks(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """What `_BlockedAttention` computes, for a compiler to write the backward pass of; all (B, H, T, K)."""
    (B, H, T, K), mixed = queries.shape, []
    queries, keys, values = queries.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    for block in _blocks(T):
        size, end = block.stop - block.start, block.stop
        scores = torch.bmm(queries[:, block], keys[:, :end].transpose(1, 2)) * K**-0.5
        future = _FUTURE[:size, LONGEST - block.start : LONGEST + size]  # a compiler would compute a mask for each pair
        weights = (scores + future.to(scores.dtype)).softmax(-1, dtype=_exact(scores.dtype)).to(values.dtype)
        mixed.append(torch.bmm(weights, values[:, :end]))
    return torch.cat(mixed, dim=1).view(B, H, T, K)


class _BlockedAttention(torch.autograd.Function):
    """Plain products with a backward pass by hand: no array is copied only to be cut, stacked or turned around."""

    @staticmethod
    def forward(ctx: Any, qkv_BT3HK: Tensor, turns: Tensor) -> Tensor:
        B, T, _, H, K = qkv_BT3HK.shape
        laid_out_3BHTK = qkv_BT3HK.permute(2, 0, 3, 1, 4)
        turned_2BHTK = qkv_BT3HK.new_empty(2, B, H, T, K, dtype=_exact(qkv_BT3HK.dtype)).copy_(laid_out_3BHTK[:2])
        turns_TC = torch.view_as_complex(turns).view(T, -1)
        _turn(turned_2BHTK, turns_TC)
        queries, keys = turned_2BHTK.to(qkv_BT3HK.dtype).flatten(1, 2)
        values, future = laid_out_3BHTK[2].flatten(0, 1), _FUTURE[:, LONGEST:].to(qkv_BT3HK.dtype)
        mixed_BTHK, weights = qkv_BT3HK.new_empty(B, T, H, K), []
        for block in _blocks(T):
            size, end = block.stop - block.start, block.stop
            scores = queries.new_empty(B * H, size, end)
            torch.baddbmm(scores, queries[:, block], keys[:, :end].transpose(1, 2), beta=0, alpha=K**-0.5, out=scores)
            scores[:, :, block] += future[:size, :size]
            torch.softmax(scores, -1, out=scores)
            mixed_BTHK[:, block] = torch.bmm(scores, values[:, :end]).view(B, H, size, K).transpose(1, 2)
            weights.append(scores)
        ctx.save_for_backward(queries, keys, values, turns_TC, *weights)
        return mixed_BTHK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BTHK: Tensor) -> Any:
        queries, keys, values, turns_TC, *weights = ctx.saved_tensors
        B, T, H, K = grad_BTHK.shape
        grad = grad_BTHK.transpose(1, 2).reshape(B * H, T, K)
        grads_3BHTK = grad.new_empty(3, B, H, T, K)
        of_queries, of_keys, of_values = grads_3BHTK.flatten(1, 2)
        for block, scores in reversed(list(zip(_blocks(T), weights, strict=True))):
            end = block.stop
            of_scores = torch.bmm(grad[:, block], values[:, :end].transpose(1, 2))
            torch.ops.aten._softmax_backward_data.out(of_scores, scores, -1, scores.dtype, grad_input=of_scores)
            of_queries[:, block] = torch.bmm(of_scores, keys[:, :end])
            for sums, left, right in ((of_values, scores, grad[:, block]), (of_keys, of_scores, queries[:, block])):
                seen, beta = sums[:, :end], int(end < T)  # the last block is the first here, and looks at every key
                torch.baddbmm(seen, left.transpose(1, 2), right, beta=beta, out=seen)
        turned_2BHTK = grads_3BHTK[:2].to(_exact(grad.dtype))
        _turn(turned_2BHTK, turns_TC.conj() * K**-0.5)
        grad_BT3HK = grad.new_empty(B, T, 3, H, K)
        grad_BT3HK[:, :, :2] = turned_2BHTK.permute(1, 3, 0, 2, 4)
        grad_BT3HK[:, :, 2] = grads_3BHTK[2].transpose(1, 2)
        return grad_BT3HK, None


def _blocks(T: int) -> list[slice]:
    return [slice(begin, min(begin + _BLOCK, T)) for begin in range(0, T, _BLOCK)]


def _exact(dtype: torch.dtype) -> torch.dtype:
    """In what turns and softmax are computed: at least float32."""
    return torch.promote_types(dtype, torch.float32)


def _turn(parts: Tensor, turns_TC: Tensor) -> None:
    """Turn neighbours of the last dimension of `parts` (..., T, K) by their positions' angles, in place."""
    torch.view_as_complex(parts.view(*parts.shape[:-1], -1, 2)).mul_(turns_TC)
