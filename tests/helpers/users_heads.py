"""A kind of prediction heads as a user writes one in a module of their own: z + MLP(norm z)."""

from collections.abc import Sequence

from torch import Tensor, nn

from lab.config import HeadKind, ParameterCounts
from lab.model import Context, NetworkSpec
from lab.model.layers import RmsNorm, Swiglu


class MlpHeads(nn.Module):
    """One normed MLP for each prediction head, on the trunk's output."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.norms = nn.ModuleList(RmsNorm(spec.model.width) for _ in range(spec.n_future))
        self.mlps = nn.ModuleList(Swiglu(spec.model.width) for _ in range(spec.n_future))

    def forward(self, trunk_BTD: Tensor, heads: Sequence[int], context: Context) -> list[Tensor]:
        states = []
        for head in heads:
            inputs_BTD = context.head_input(trunk_BTD, head)
            state_BTD = inputs_BTD + self.mlps[head - 1](self.norms[head - 1](inputs_BTD))
            states.append(context.visit(f"prediction.{head}.residual", state_BTD))
        return states


PART = ParameterCounts(mlps=1, norms=1)
MLP = HeadKind("tests.helpers.users_heads:MlpHeads", first=PART, further=PART, formula="z + MLP_i(norm z)")
