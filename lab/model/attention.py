"""Attention with rotary positions, from projected queries, keys and values to each attention head's output.

B sequences, T positions, H attention heads, K width of one attention head. On a CPU, causal attention over up to `LONGEST`
positions goes through plain products of blocks of queries (`_BlockedAttention`), forward and backward faster there than torch's
kernel; all else is torch's `scaled_dot_product_attention`. Measurements are in docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lab.model.kernels import apply_rope

LONGEST = 512
"""Positions up to which attention weights are kept for the backward pass, (B, H, T, T) for each layer."""
_BLOCK = 64
"""Queries in a block. A block's scores end with its last query, so that most of the future is never computed."""
_CAUSAL = torch.full((_BLOCK, LONGEST + _BLOCK), -torch.inf).triu(1 + LONGEST)
"""Causal mask table: -inf above the diagonal of the current block, 0 for up to `LONGEST` earlier keys."""


def attend(qkv_BT3HK: Tensor, rope: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute softmax attention with rotary positions.

    Args:
        qkv_BT3HK: Queries, keys and values before RoPE.
        rope: (T, 1, 1, K / 2, 2) or (B, T, 1, 1, K / 2, 2) float32, cosine and sine of each position.
        mask: Broadcastable to (B, H, T, T): bool, True where a query attends to a key, or float, added to the scores. None for
            causal attention.

    Returns:
        (B, T, H, K).
    """
    blocked = qkv_BT3HK.device.type == "cpu" and qkv_BT3HK.shape[1] <= LONGEST and mask is None and rope.ndim == 5
    if blocked and not torch.compiler.is_compiling():
        out: Tensor = _BlockedAttention.apply(qkv_BT3HK, rope)  # type: ignore[no-untyped-call]
        return out
    queries, keys = apply_rope(qkv_BT3HK[:, :, :2], rope).transpose(1, 3).unbind(2)
    values = qkv_BT3HK[:, :, 2].transpose(1, 2)
    if blocked:
        return _blocked_attention(queries, keys, values).transpose(1, 2)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(queries.dtype)
    return F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=mask is None).transpose(1, 2)


def attention_pattern(queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute attention weights (B, H, T, T): row t is the distribution of position t over the keys.

    Args:
        queries: (B, H, T, K), after RoPE.
        keys: As `queries`.
        mask: As of `attend`.
    """
    exact = _at_least_float32(queries.dtype)
    scores = queries.to(exact) @ keys.to(exact).transpose(-1, -2) * queries.shape[-1] ** -0.5
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    masked: Tensor = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return masked.softmax(-1)


def _blocked_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Compute what `_BlockedAttention` does, for a compiler to derive the backward pass; all (B, H, T, K)."""
    (B, H, T, K), out = queries.shape, []
    queries, keys, values = queries.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    for block in _blocks(T):
        size, end = block.stop - block.start, block.stop
        scores = torch.bmm(queries[:, block], keys[:, :end].transpose(1, 2)) * K**-0.5
        causal = _CAUSAL[:size, LONGEST - block.start : LONGEST + size]  # a compiler would compute a mask for each pair
        weights = (scores + causal.to(scores.dtype)).softmax(-1, dtype=_at_least_float32(scores.dtype)).to(values.dtype)
        out.append(torch.bmm(weights, values[:, :end]))
    return torch.cat(out, dim=1).view(B, H, T, K)


class _BlockedAttention(torch.autograd.Function):
    """Plain products with a backward pass by hand: no array is copied only to be split, stacked or transposed."""

    @staticmethod
    def forward(ctx: Any, qkv_BT3HK: Tensor, rope: Tensor) -> Tensor:
        B, T, _, H, K = qkv_BT3HK.shape
        qkv_3BHTK = qkv_BT3HK.permute(2, 0, 3, 1, 4)
        qk_2BHTK = qkv_BT3HK.new_empty(2, B, H, T, K, dtype=_at_least_float32(qkv_BT3HK.dtype)).copy_(qkv_3BHTK[:2])
        rope_TC = torch.view_as_complex(rope).view(T, -1)
        _rotate_(qk_2BHTK, rope_TC)
        queries, keys = qk_2BHTK.to(qkv_BT3HK.dtype).flatten(1, 2)
        values, causal = qkv_3BHTK[2].flatten(0, 1), _CAUSAL[:, LONGEST:].to(qkv_BT3HK.dtype)
        out_BTHK, weights = qkv_BT3HK.new_empty(B, T, H, K), []
        for block in _blocks(T):
            size, end = block.stop - block.start, block.stop
            scores = queries.new_empty(B * H, size, end)
            torch.baddbmm(scores, queries[:, block], keys[:, :end].transpose(1, 2), beta=0, alpha=K**-0.5, out=scores)
            scores[:, :, block] += causal[:size, :size]
            torch.softmax(scores, -1, out=scores)
            out_BTHK[:, block] = torch.bmm(scores, values[:, :end]).view(B, H, size, K).transpose(1, 2)
            weights.append(scores)
        ctx.save_for_backward(queries, keys, values, rope_TC, *weights)
        return out_BTHK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out_BTHK: Tensor) -> Any:
        queries, keys, values, rope_TC, *weights = ctx.saved_tensors
        B, T, H, K = grad_out_BTHK.shape
        grad_out = grad_out_BTHK.transpose(1, 2).reshape(B * H, T, K)
        grads_3BHTK = grad_out.new_empty(3, B, H, T, K)
        grad_q, grad_k, grad_v = grads_3BHTK.flatten(1, 2)
        for block, weight in reversed(list(zip(_blocks(T), weights, strict=True))):
            end = block.stop
            grad_scores = torch.bmm(grad_out[:, block], values[:, :end].transpose(1, 2))
            torch.ops.aten._softmax_backward_data.out(grad_scores, weight, -1, weight.dtype, grad_input=grad_scores)
            grad_q[:, block] = torch.bmm(grad_scores, keys[:, :end])
            for grad, left, right in ((grad_v, weight, grad_out[:, block]), (grad_k, grad_scores, queries[:, block])):
                keys_seen, beta = grad[:, :end], int(end < T)  # the last block comes first and attends to every key
                torch.baddbmm(keys_seen, left.transpose(1, 2), right, beta=beta, out=keys_seen)
        grad_qk_2BHTK = grads_3BHTK[:2].to(_at_least_float32(grad_out.dtype))
        _rotate_(grad_qk_2BHTK, rope_TC.conj() * K**-0.5)
        grad_qkv_BT3HK = grad_out.new_empty(B, T, 3, H, K)
        grad_qkv_BT3HK[:, :, :2] = grad_qk_2BHTK.permute(1, 3, 0, 2, 4)
        grad_qkv_BT3HK[:, :, 2] = grads_3BHTK[2].transpose(1, 2)
        return grad_qkv_BT3HK, None


def _blocks(T: int) -> list[slice]:
    return [slice(begin, min(begin + _BLOCK, T)) for begin in range(0, T, _BLOCK)]


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of RoPE and softmax."""
    return torch.promote_types(dtype, torch.float32)


def _rotate_(states: Tensor, rope_TC: Tensor) -> None:
    """Apply RoPE to states (..., T, K) in place."""
    torch.view_as_complex(states.view(*states.shape[:-1], -1, 2)).mul_(rope_TC)
