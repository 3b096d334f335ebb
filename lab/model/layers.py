"""The parts of a Llama-like layer. B sequences, T positions, D width, H attention heads, K width of one attention head."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.config import ModelSettings
from lab.config.cost import inner_width
from lab.model.attention import attend, attention_pattern
from lab.model.cache import CacheSlots
from lab.model.context import Context
from lab.model.kernels import apply_rope, gated_unit, rms_norm
from lab.model.workspace import Workspace


class Linear(nn.Linear):
    """`nn.Linear` without bias, with its rule of initialisation. All matrices of trunk and prediction heads are of this class.

    Attributes:
        init: `normal`: variance 1 / inputs; `residual`, for what is added to the residual stream: that, divided by the number
            of writers to the stream; `zero`.
    """

    def __init__(self, inputs: int, outputs: int, init: Literal["normal", "residual", "zero"] = "normal") -> None:
        super().__init__(inputs, outputs, bias=False)
        self.init = init

    def initialise(self, writers: int) -> None:
        """Draw the weights.

        Args:
            writers: Attention blocks and MLPs that add to the residual stream on the next-token path.
        """
        scale = {"normal": 1.0, "residual": writers**-0.5, "zero": 0.0}[self.init]
        nn.init.normal_(self.weight, std=self.in_features**-0.5 * scale)


class RmsNorm(nn.Module):
    """Root-mean-square norm with a weight for each element.

    Attributes:
        epsilon: Added to the mean square.
    """

    def __init__(self, width: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor, frozen: bool = False) -> Tensor:
        """Return normed states of the same shape; `frozen` sends no gradient to the weight."""
        return rms_norm(states, self.weight.detach() if frozen else self.weight, self.epsilon)


class RopeCache(nn.Module):
    """Cosines and sines of rotary positions (Su et al. 2021), extended for each longer sequence.

    Interleaved convention: features 2k and 2k + 1 are a pair, as in the paper. `transformers` pairs k with k + K/2, which is
    the same up to the order of each attention head's query and key features.
    """

    def __init__(self, head_width: int, base: float) -> None:
        super().__init__()
        self.head_width, self.base = head_width, base
        self.table = torch.empty(0)  # not a buffer: processes may have extended it differently

    def forward(
        self, positions: Tensor | None, length: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return cosine and sine of each position.

        Args:
            positions: (T,) or (B, T) int64; None for 0 to T - 1. A compiler cannot read the largest: they are then below T.
            length: T.
            device: Of the result.
            dtype: Of the hidden states: float64 gives float64, any other float32.

        Returns:
            (T, 1, 1, K / 2, 2) or (B, T, 1, 1, K / 2, 2).
        """
        if positions is not None and not torch.compiler.is_compiling():
            length = int(positions.max()) + 1
        dtype = dtype if dtype == torch.float64 else torch.float32
        if len(self.table) < length or self.table.device != device or self.table.dtype != dtype:
            with torch.inference_mode(False):  # training may use it later
                even = torch.arange(0, self.head_width, 2, dtype=torch.float64)
                angles = torch.arange(length)[:, None, None, None] * self.base ** (-even / self.head_width)
                self.table = torch.stack([angles.cos(), angles.sin()], dim=-1).to(device, dtype)
        return self.table[:length] if positions is None else self.table[positions]


class Attention(nn.Module):
    """Self-attention with rotary positions; one product gives queries, keys and values.

    Attributes:
        name: Of its sites, such as `trunk.0.attention`.
    """

    def __init__(self, width: int, n_heads: int, name: str) -> None:
        super().__init__()
        self.n_heads, self.name = n_heads, name
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width, init="residual")

    def forward(self, states_BTD: Tensor, context: Context) -> Tensor:
        qkv_BT3HK = self.qkv(states_BTD).unflatten(-1, (3, self.n_heads, -1))
        if context.sites is None:
            heads_BTHK = attend(qkv_BT3HK, context.rope, context.mask)
        else:
            heads_BTHK = context.visit(f"{self.name}.heads", self._attend_at_sites(qkv_BT3HK, context))
        return context.visit(self.name, self.out(heads_BTHK.flatten(2)))

    def forward_cached(self, states_BTD: Tensor, context: Context, slots: CacheSlots) -> Tensor:
        """Attend from new positions to cached ones and themselves; return the attention heads' outputs (B, T, D)."""
        B, T, D = states_BTD.shape
        H, scale = self.n_heads, (D // self.n_heads) ** -0.5
        qkv_BT3HK = self.qkv(states_BTD).view(B, T, 3, H, -1)
        queries_BTHK, keys_BTHK = apply_rope(qkv_BT3HK[:, :, :2], context.rope).unbind(2)
        values_BTHK = qkv_BT3HK[:, :, 2]
        keys, values = slots.extend(self.name, torch.stack([keys_BTHK, values_BTHK]).transpose(2, 3))
        queries = queries_BTHK.transpose(1, 2).flatten(0, 1)
        if slots.mask is None:
            scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(scale)
        else:
            scores = torch.baddbmm(slots.mask, queries, keys.transpose(1, 2), alpha=scale)
        mixed = torch.bmm(scores.softmax(-1).to(values.dtype), values)
        return mixed.view(B, H, T, -1).transpose(1, 2).flatten(2)

    def _attend_at_sites(self, qkv_BT3HK: Tensor, context: Context) -> Tensor:
        """Attend as `attend` does, with values and pattern edited and recorded; by the same kernel if none is edited."""
        assert context.sites is not None
        values_name, pattern_name = f"{self.name}.values", f"{self.name}.pattern"
        values_BTHK = context.visit(values_name, qkv_BT3HK[:, :, 2])
        if not context.sites.uses(pattern_name) and values_name not in context.sites.edits:
            return attend(qkv_BT3HK, context.rope, context.mask)
        queries, keys = apply_rope(qkv_BT3HK[:, :, :2], context.rope).transpose(1, 3).unbind(2)
        pattern_BHTT = context.visit(pattern_name, attention_pattern(queries, keys, context.mask))
        if not {values_name, pattern_name} & context.sites.edits.keys():
            return attend(qkv_BT3HK, context.rope, context.mask)
        values_BHTK = values_BTHK.transpose(1, 2)
        return (pattern_BHTT @ values_BHTK.to(pattern_BHTT.dtype)).to(values_BHTK.dtype).transpose(1, 2)


class Swiglu(nn.Module):
    """Gated MLP (Shazeer 2020), by default of the inner width of `lab.config.cost.inner_width`."""

    def __init__(self, width: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or inner_width(width, "swiglu")
        self.gate = Linear(width, inner)
        self.up = Linear(width, inner)
        self.down = Linear(inner, width, init="residual")

    def forward(self, states_BTD: Tensor) -> Tensor:
        return gated_unit(states_BTD, self.gate.weight, self.up.weight, self.down.weight)


class Gelu(nn.Module):
    """Plain MLP, by default of the inner width of `lab.config.cost.inner_width`."""

    def __init__(self, width: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or inner_width(width, "gelu")
        self.up = Linear(width, inner)
        self.down = Linear(inner, width, init="residual")

    def forward(self, states_BTD: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(states_BTD)))
        return out


MLPS: dict[str, type[nn.Module]] = {"swiglu": Swiglu, "gelu": Gelu}


class StepWeights(NamedTuple):
    """The weights of a layer as `Layer` multiplies with them in a workspace; norms times the root of D."""

    attention_norm_D: Tensor
    qkv_DE: Tensor
    out_DD: Tensor
    mlp_norm_D: Tensor
    gate_DI: Tensor | None
    up_DI: Tensor
    down_ID: Tensor


class Layer(nn.Module):
    """One transformer layer: attention, then the MLP, each on a normed input and added to the residual stream.

    Attributes:
        name: Of its sites, such as `trunk.0` or `prediction.1`.
    """

    def __init__(self, settings: ModelSettings, name: str) -> None:
        super().__init__()
        self.name = name
        self.attention_norm = RmsNorm(settings.width, settings.norm_epsilon)
        self.attention = Attention(settings.width, settings.n_heads, f"{name}.attention")
        self.mlp_norm = RmsNorm(settings.width, settings.norm_epsilon)
        self.mlp = MLPS[settings.mlp](settings.width, settings.inner_width)

    def forward(self, states_BTD: Tensor, context: Context) -> Tensor:
        if context.slots is not None and context.slots.workspace is not None:
            return self._step(states_BTD, context, context.slots, context.slots.workspace)
        if context.slots is not None:
            heads_BTD = self.attention.forward_cached(self.attention_norm(states_BTD), context, context.slots)
            states_BTD = states_BTD + self.attention.out(heads_BTD)
            out_BTD: Tensor = states_BTD + self.mlp(self.mlp_norm(states_BTD))
            return out_BTD
        states_BTD = states_BTD + self.attention(self.attention_norm(states_BTD), context)
        states_BTD = states_BTD + context.visit(f"{self.name}.mlp", self.mlp(self.mlp_norm(states_BTD)))
        return context.visit(f"{self.name}.residual", states_BTD)

    def _step(self, states_BTD: Tensor, context: Context, slots: CacheSlots, space: Workspace) -> Tensor:
        """Compute the output of `forward` from a cache, in the preallocated buffers of a workspace."""
        (B, T, D), attention = states_BTD.shape, self.attention
        H, states_RD = attention.n_heads, states_BTD.view(B * T, D)
        weights = slots.cache.weights.get(self.name)
        if weights is None:
            weights = slots.cache.weights[self.name] = self._weights(space)
        torch.mm(space.norm(states_RD, weights.attention_norm_D), weights.qkv_DE, out=space.qkv_RE)
        space.qk_complex.mul_(torch.view_as_complex(context.rope))
        keys, values = slots.extend(attention.name, space.pairs_2BHTK)
        queries, scale = space.queries_BHTK.reshape(B * H, T, D // H), (D // H) ** -0.5
        if slots.mask is None:
            scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(scale)
        else:
            scores = torch.baddbmm(slots.mask, queries, keys.transpose(1, 2), alpha=scale)
        mixed = torch.bmm(torch.softmax(scores, -1), values)
        mixed_RD = mixed.view(B, D) if T == 1 else mixed.view(B, H, T, -1).transpose(1, 2).reshape(B * T, D)
        states_RD = torch.addmm(states_RD, mixed_RD, weights.out_DD)
        normed_RD = space.norm(states_RD, weights.mlp_norm_D)
        if weights.gate_DI is None:
            inner_RI = F.gelu(torch.mm(normed_RD, weights.up_DI))
        else:
            inner_RI = space.gate(normed_RD, weights.gate_DI, weights.up_DI)
        return torch.addmm(states_RD, inner_RI, weights.down_ID).view(B, T, D)

    def _weights(self, space: Workspace) -> StepWeights:
        gate = self.mlp.gate.weight.t() if isinstance(self.mlp, Swiglu) else None
        return StepWeights(
            space.scaled(self.attention_norm.weight),
            self.attention.qkv.weight.t(),
            self.attention.out.weight.t(),
            space.scaled(self.mlp_norm.weight),
            gate,
            self.mlp.get_parameter("up.weight").t(),
            self.mlp.get_parameter("down.weight").t(),
        )
