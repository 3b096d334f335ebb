"""The parts of a Llama-like layer. B rows, T positions, D width, H attention heads, K width of one attention head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import ModelSettings
from lab.config.cost import inner_width
from lab.model.attention import rotary_attention
from lab.model.kernels import gated_unit, rms_norm, rotate

NORM_EPSILON = 1e-6


class RmsNorm(nn.Module):
    """Root-mean-square norm with a gain for each element."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor, frozen: bool = False) -> Tensor:
        """Normed states of the same shape; `frozen` sends no gradient to the gain."""
        return rms_norm(states, self.weight.detach() if frozen else self.weight, NORM_EPSILON)


class RotaryTable(nn.Module):
    """Turns of the rotary positions (Su et al. 2021), cosine and sine, grown when a longer row comes.

    Neighbours (2k, 2k + 1) are turned together, as in the paper; `transformers` pairs k with k + K/2, which is the same
    up to the order of each attention head's query and key features.
    """

    def __init__(self, head_width: int, base: float) -> None:
        super().__init__()
        self.head_width, self.base = head_width, base
        self.turns = torch.empty(0)  # no buffer: processes need not have grown it alike

    def forward(self, length: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
        """(T, 1, 1, K / 2, 2), float64 for states of that type, else float32."""
        dtype = dtype if dtype == torch.float64 else torch.float32
        if len(self.turns) < length or self.turns.device != device or self.turns.dtype != dtype:
            with torch.inference_mode(False):  # it stays for a training that may come after
                even = torch.arange(0, self.head_width, 2, dtype=torch.float64)
                angles = torch.arange(length)[:, None, None, None] * self.base ** (-even / self.head_width)
                self.turns = torch.stack([angles.cos(), angles.sin()], dim=-1).to(device, dtype)
        return self.turns[:length]


class Attention(nn.Module):
    """Causal self-attention with rotary positions; queries, keys and values are one product."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, states_BTD: Tensor, rotary: Tensor) -> Tensor:
        qkv_BT3HK = self.qkv(states_BTD).unflatten(-1, (3, self.n_heads, -1))
        out: Tensor = self.out(rotary_attention(qkv_BT3HK, rotary).flatten(2))
        return out

    def project(self, states_BTD: Tensor, rotary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, T, K), positions applied."""
        qkv: Tensor = self.qkv(states_BTD).unflatten(-1, (3, self.n_heads, -1))
        queries, keys = rotate(qkv[:, :, :2], rotary).transpose(1, 3).unbind(2)
        return queries, keys, qkv[:, :, 2].transpose(1, 2)

    def pattern(self, states_BTD: Tensor, rotary: Tensor) -> Tensor:
        """Attention weights (B, H, T, T): row t says what position t looks at. For analysis; training never forms them."""
        queries, keys, _ = self.project(states_BTD, rotary)
        length = queries.shape[2]
        scores = queries.float() @ keys.float().transpose(-1, -2) * queries.shape[-1] ** -0.5
        future = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        pattern_BHTT: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
        return pattern_BHTT


class Swiglu(nn.Module):
    """Gated feed-forward part (Shazeer 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = inner_width(width, "swiglu")
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, states_BTD: Tensor) -> Tensor:
        return gated_unit(states_BTD, self.gate.weight, self.up.weight, self.down.weight)


class Gelu(nn.Module):
    """Plain feed-forward part with four times the width inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = inner_width(width, "gelu")
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, states_BTD: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(states_BTD)))
        return out


MLPS: dict[str, type[nn.Module]] = {"swiglu": Swiglu, "gelu": Gelu}


class Layer(nn.Module):
    """One transformer layer: attention, then the feed-forward part, each on a normed input and added to the residual stream."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = RmsNorm(settings.width)
        self.attention = Attention(settings.width, settings.n_heads)
        self.mlp_norm = RmsNorm(settings.width)
        self.mlp = MLPS[settings.mlp](settings.width)

    def forward(self, states_BTD: Tensor, rotary: Tensor) -> Tensor:
        states_BTD = states_BTD + self.attention(self.attention_norm(states_BTD), rotary)
        out: Tensor = states_BTD + self.mlp(self.mlp_norm(states_BTD))
        return out
