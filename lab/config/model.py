"""The settings of the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lab.config.kinds import KINDS, find_kind
from lab.config.settings import Settings
from lab.config.sizes import SIZES, Shape
from lab.errors import LabError


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"model.heads must be one of {', '.join(KINDS)}, or module:name of your own, not {value!r}")
    try:
        find_kind(value)
    except LabError as error:
        raise ValueError(str(error)) from error
    return value


class ModelSettings(Settings):
    """The network. `size` names one of the paper's; otherwise `width`, `layers` and `n_heads` set its shape."""

    size: str | None = Field(None, examples=list(SIZES))
    """One of the paper's sizes (1M to 1B), which sets width, layers and n_heads."""
    width: int = Field(64, ge=2)
    """d, the width of every hidden state."""
    layers: int = Field(4, ge=1, le=10_000)
    """L: trunk and prediction heads together when `matched` is `parameters`."""
    n_heads: int = Field(4, ge=1)
    """Attention heads of each layer."""
    heads: Annotated[str, BeforeValidator(_kind)] = Field("parallel", examples=[*KINDS, "module:name"])
    """Kind of prediction heads: one of docs/heads.md, or a `HeadKind` of your own by `module:name`."""
    head_layer: int | None = Field(None, ge=1)
    """The trunk layer, from 1, whose output prediction heads 2..n read; null for the last. For kinds whose heads 2..n read the
    trunk alone."""
    matched: Literal["parameters", "layers", "none", "flops", "time"] = "parameters"
    """What is equal at every n. `parameters`: prediction heads replace trunk layers; `layers`: the next-token path has L
    layers; `none`: heads 2..n come on top of n = 1 ("+Layers"); `flops`, `time`: as `none`, with fewer training steps."""
    mlp: Literal["swiglu", "gelu"] = "swiglu"
    """MLP of each layer; at the default inner width both have 8 d^2 parameters (swiglu nearly)."""
    inner_width: int | None = Field(None, ge=1)
    """Inner width of each MLP; null for 8/3 d (swiglu, to the nearest multiple of 8) or 4 d (gelu)."""
    norm_epsilon: float = Field(1e-6, gt=0)
    """Added to the mean square in each norm."""
    rope_base: float = Field(10_000.0, gt=0)
    """Base of the rotary positions: the longest wavelength approaches 2 pi times this many tokens."""

    @model_validator(mode="before")
    @classmethod
    def _shape_of_size(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("size") is None:
            return values
        size = values["size"]
        if not isinstance(size, str) or size not in SIZES:
            raise ValueError(f"model.size must be one of {', '.join(SIZES)}, not {size!r}")
        shape = SIZES[size]._asdict()
        for name, value in shape.items():
            if values.get(name, value) != value:
                raise ValueError(f"model.{name} must be {value} at model.size {size}, not {values[name]}: give one of the two")
        return {**values, **shape}

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.n_heads or self.width // self.n_heads % 2:
            raise ValueError(
                f"model.width must be an even multiple of model.n_heads = {self.n_heads} (rotary pairs), not {self.width}"
            )
        return self

    @model_validator(mode="after")
    def _branches(self) -> Self:
        if self.head_layer is not None and not find_kind(self.heads).independent:
            able = ", ".join(name for name, kind in KINDS.items() if kind.independent)
            raise ValueError(
                f"model.head_layer must be null with model.heads {self.heads}, not {self.head_layer}: "
                f"the prediction heads of {able} alone read the trunk independently of each other"
            )
        return self

    @property
    def shape(self) -> Shape:
        """Width, layers and attention heads."""
        return Shape(self.width, self.layers, self.n_heads)
