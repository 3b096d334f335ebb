"""Tables of the kinds of prediction heads for the docs, from the same formulas as every run."""

from __future__ import annotations

from lab.config.cost import flops_per_token, non_embedding_parameters, trunk_layers
from lab.config.kinds import KINDS
from lab.config.model import ModelSettings

WIDTH, LAYERS, N_HEADS, VOCABULARY, LENGTH = 128, 8, 4, 32, 64
"""Of the network whose costs `head_table` lists."""


def kind_table() -> str:
    """Return a Markdown table of every kind: formula, use, tokens that its heads see, source."""
    rows = [[f"`{name}`", kind.formula, kind.use, kind.describe_inputs(2), kind.source] for name, kind in KINDS.items()]
    return _markdown(["kind", "h_i", "when to use it", "head 2 at position t sees", "source"], rows)


def head_table() -> str:
    """Return a Markdown table of depth, parameters and FLOPs of every kind at n = 1, 2 and 4 at equal parameters."""
    plain = non_embedding_parameters(_settings("parallel"), 1)
    rows = []
    for name, kind in KINDS.items():
        for n in (1, 2, 4):
            model, trunk = _settings(name), trunk_layers(_settings(name), n)
            parameters = non_embedding_parameters(model, n)
            numbers = [str(n), str(trunk), str(trunk + kind.path_layers(n)), f"{parameters:,}"]
            flops = flops_per_token(model, n, LENGTH, VOCABULARY)
            rows.append([f"`{name}`", *numbers, f"{100 * (parameters / plain - 1):+.2f} %", f"{flops:,}"])
    return _markdown(
        [
            "kind",
            "n",
            "layers of the trunk",
            "of the next-token path",
            "non-embedding parameters",
            "against n = 1",
            f"FLOPs a token, V = {VOCABULARY}, T = {LENGTH}",
        ],
        rows,
    )


def _settings(heads: str) -> ModelSettings:
    return ModelSettings(width=WIDTH, layers=LAYERS, n_heads=N_HEADS, heads=heads)


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])
