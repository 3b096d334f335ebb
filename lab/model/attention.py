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


def rotary_attention(qkv_BT3HK: Tensor, turns: Tensor) -> Tensor:
    """Softmax attention in which position t looks at positions up to t, with rotary positions.

    Args:
        qkv_BT3HK: Queries, keys and values before their positions are applied.
        turns: (T, 1, 1, K / 2, 2) float32, cosine and sine.

    Returns:
        (B, T, H, K).
    """
    length = qkv_BT3HK.shape[1]
    if qkv_BT3HK.device.type == "cpu" and length <= LONGEST and not torch.compiler.is_compiling():
        mixed: Tensor = _BlockedAttention.apply(qkv_BT3HK, turns)  # type: ignore[no-untyped-call]
        return mixed
    queries, keys = rotate(qkv_BT3HK[:, :, :2], turns).transpose(1, 3).unbind(2)
    values = qkv_BT3HK[:, :, 2].transpose(1, 2)
    return F.scaled_dot_product_attention(queries, keys, values, is_causal=True).transpose(1, 2)


class _BlockedAttention(torch.autograd.Function):
    """Plain products with a backward pass by hand: no array is copied only to be cut, stacked or turned around."""

    @staticmethod
    def forward(ctx: Any, qkv_BT3HK: Tensor, turns: Tensor) -> Tensor:
        B, T, _, H, K = qkv_BT3HK.shape
        parts_3BHTK = qkv_BT3HK.new_empty(3, B, H, T, K).copy_(qkv_BT3HK.permute(2, 0, 3, 1, 4))
        turns_TC = torch.view_as_complex(turns).view(T, -1)
        _turn(parts_3BHTK[:2], turns_TC)
        queries, keys, values = parts_3BHTK.flatten(1, 2)
        mixed_BTHK, weights = qkv_BT3HK.new_empty(B, T, H, K), []
        for begin in range(0, T, _BLOCK):
            end = min(begin + _BLOCK, T)
            future = qkv_BT3HK.new_full((end - begin, end), -torch.inf).triu(1 + begin)
            scores = torch.baddbmm(future, queries[:, begin:end], keys[:, :end].transpose(1, 2), alpha=K**-0.5)
            torch.softmax(scores, -1, out=scores)
            mixed_BTHK[:, begin:end] = torch.bmm(scores, values[:, :end]).view(B, H, -1, K).transpose(1, 2)
            weights.append(scores)
        ctx.save_for_backward(parts_3BHTK, turns_TC, *weights)
        return mixed_BTHK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BTHK: Tensor) -> Any:
        parts_3BHTK, turns_TC, *weights = ctx.saved_tensors
        _, B, H, T, K = parts_3BHTK.shape
        queries, keys, values = parts_3BHTK.flatten(1, 2)
        grad = grad_BTHK.transpose(1, 2).reshape(B * H, T, K)
        grads_3BHTK = torch.empty_like(parts_3BHTK)
        of_queries, of_keys, of_values = grads_3BHTK.flatten(1, 2)
        for number in reversed(range(len(weights))):  # the last block looks at every key: nothing stands there to add to yet
            begin, scores = number * _BLOCK, weights[number]
            end = begin + scores.shape[1]
            block = slice(begin, end)
            of_scores = torch.bmm(grad[:, block], values[:, :end].transpose(1, 2))
            torch.ops.aten._softmax_backward_data.out(of_scores, scores, -1, scores.dtype, grad_input=of_scores)
            of_queries[:, block] = torch.bmm(of_scores, keys[:, :end])
            for sums, left, right in ((of_values, scores, grad[:, block]), (of_keys, of_scores, queries[:, block])):
                product = torch.bmm(left.transpose(1, 2), right)
                sums[:, :end] = product if end == T else product.add_(sums[:, :end])
        grads_3BHTK[:2].mul_(K**-0.5)
        _turn(grads_3BHTK[:2], turns_TC.conj())
        return grads_3BHTK.permute(1, 3, 0, 2, 4).contiguous(), None


def _turn(parts: Tensor, turns_TC: Tensor) -> None:
    """Turn neighbours of the last dimension of `parts` (..., T, K) by their positions' angles, in place."""
    if parts.dtype.itemsize < 4:  # no complex numbers of that precision
        exact = parts.float()
        _turn(exact, turns_TC)
        parts.copy_(exact)
    else:
        torch.view_as_complex(parts.view(*parts.shape[:-1], -1, 2)).mul_(turns_TC)
