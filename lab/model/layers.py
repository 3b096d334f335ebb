"""The parts of a Llama-like layer. B rows, T positions, D width, H attention heads, K width of one attention head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import ModelSettings

NORM_EPSILON = 1e-6


class RotaryTable(nn.Module):
    """Angles of the rotary positions (Su et al. 2021), grown when a longer row comes.

    Queries and keys are turned as complex numbers, element k with element k + K/2, as `transformers` pairs them.
    """

    def __init__(self, head_width: int, base: float) -> None:
        super().__init__()
        self.head_width, self.base = head_width, base
        self.register_buffer("cosines_TK", torch.empty(0), persistent=False)
        self.register_buffer("sines_TK", torch.empty(0), persistent=False)

    cosines_TK: Tensor
    sines_TK: Tensor

    def forward(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines, each (T, 1, K) float32."""
        if len(self.cosines_TK) < length or self.cosines_TK.device != device:
            half = torch.arange(0, self.head_width, 2, device=device, dtype=torch.float64)
            angles = torch.arange(length, device=device)[:, None] * self.base ** (-half / self.head_width)
            self.cosines_TK = torch.cat([angles.cos(), angles.cos()], dim=1).float()[:, None]
            self.sines_TK = torch.cat([-angles.sin(), angles.sin()], dim=1).float()[:, None]
        return self.cosines_TK[:length], self.sines_TK[:length]


def rotate(states: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (k, k + K/2) of the last dimension by its position's angle.

    Args:
        states: (..., T, H, K).
        rotary: Cosines and signed sines, each (T, 1, K).
    """
    cosines, sines = rotary
    return states * cosines.to(states.dtype) + states.roll(states.shape[-1] // 2, dims=-1) * sines.to(states.dtype)


class Attention(nn.Module):
    """Causal self-attention with rotary positions; queries, keys and values are one product."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, states_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        queries, keys, values = self.project(states_BTD, rotary)
        mixed_BHTK = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        out: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out

    def project(self, states_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, T, K), positions applied."""
        queries_keys, values = self.qkv(states_BTD).unflatten(-1, (3, self.n_heads, -1)).split((2, 1), dim=2)
        turned = rotate(queries_keys.transpose(1, 2), rotary)
        queries, keys = turned.unbind(1)
        return queries.transpose(1, 2), keys.transpose(1, 2), values.squeeze(2).transpose(1, 2)

    def pattern(self, states_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Attention weights (B, H, T, T): row t says what position t looks at. For analysis; training never forms them."""
        queries, keys, _ = self.project(states_BTD, rotary)
        length = queries.shape[2]
        scores = queries.float() @ keys.float().transpose(-1, -2) * queries.shape[-1] ** -0.5
        future = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        pattern_BHTT: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
        return pattern_BHTT


class Swiglu(nn.Module):
    """Gated feed-forward part (Shazeer 2020); gate and input are one product."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(8, 8 * round(width / 3))  # 8/3 d rounded to a multiple of 8, which matrix products like
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, states_BTD: Tensor) -> Tensor:
        gate, up = self.gate_up(states_BTD).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class Gelu(nn.Module):
    """Plain feed-forward part with four times the width inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, states_BTD: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(states_BTD)))
        return out


MLPS: dict[str, type[nn.Module]] = {"swiglu": Swiglu, "gelu": Gelu}


class Layer(nn.Module):
    """One transformer layer: attention, then the feed-forward part, each on a normed input and added to the residual stream."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(settings.width, NORM_EPSILON)
        self.attention = Attention(settings.width, settings.n_heads)
        self.mlp_norm = nn.RMSNorm(settings.width, NORM_EPSILON)
        self.mlp = MLPS[settings.mlp](settings.width)

    def forward(self, states_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        states_BTD = states_BTD + self.attention(self.attention_norm(states_BTD), rotary)
        out: Tensor = states_BTD + self.mlp(self.mlp_norm(states_BTD))
        return out
