"""Llamas of others: a naive transformer with the weight names of the paper's release, and the class of `transformers`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def release_logits(params: Mapping[str, Any], weights: Mapping[str, Tensor], tokens_BT: Tensor) -> Tensor:
    """Compute logits (N, B, T, V) float32 of a model of the paper's release, in float64, from its weights by name.

    Pairs of features are complex numbers, as in Meta's code; the first layers are shared, each prediction head is one layer.
    """
    weight = {name: each.double() for name, each in weights.items()}
    n, head_width = params["n_future_tokens"], params["dim"] // params["n_heads"]
    shared = params["n_layers"] - n
    T = tokens_BT.shape[1]
    frequency_K = params["rope_theta"] ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    rotations_TK = torch.polar(
        torch.ones(T, len(frequency_K), dtype=torch.float64), torch.outer(torch.arange(T).double(), frequency_K)
    )

    def norm(states: Tensor, name: str) -> Tensor:
        scale = (states.square().mean(-1, keepdim=True) + params["norm_eps"]).rsqrt()
        return states * scale * weight[f"{name}.weight"]

    def rotate(states_BTHK: Tensor) -> Tensor:
        pairs = torch.view_as_complex(states_BTHK.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * rotations_TK[:, None]).flatten(-2)

    def layer(states_BTD: Tensor, name: str) -> Tensor:
        normed = norm(states_BTD, f"{name}.attention_norm")
        q, k, v = (
            (normed @ weight[f"{name}.attention.{part}.weight"].T).unflatten(-1, (-1, head_width))
            for part in ("wq", "wk", "wv")
        )
        repeated = q.shape[2] // k.shape[2]
        q, k, v = rotate(q), rotate(k).repeat_interleave(repeated, 2), v.repeat_interleave(repeated, 2)
        scores = torch.einsum("bqhk,bshk->bhqs", q, k) / head_width**0.5
        scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
        mixed = torch.einsum("bhqs,bshk->bqhk", scores.softmax(-1), v).flatten(2)
        states_BTD = states_BTD + mixed @ weight[f"{name}.attention.wo.weight"].T
        normed = norm(states_BTD, f"{name}.ffn_norm")
        gate, up = (normed @ weight[f"{name}.feed_forward.{part}.weight"].T for part in ("w1", "w3"))
        return states_BTD + (F.silu(gate) * up) @ weight[f"{name}.feed_forward.w2.weight"].T

    states_BTD = weight["tok_embeddings.weight"][tokens_BT]
    for number in range(shared):
        states_BTD = layer(states_BTD, f"layers.{number}")
    heads = [f"layers.{shared}", *(f"extra_heads.{number}" for number in range(n - 1))]
    return torch.stack([norm(layer(states_BTD, name), "norm") @ weight["output.weight"].T for name in heads]).float()


def tiny_llama(**changes: Any) -> Any:
    """Return a `LlamaForCausalLM` with random weights."""
    import transformers

    transformers.utils.logging.disable_progress_bar()

    settings: dict[str, Any] = {
        "vocab_size": 12,
        "hidden_size": 16,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    }
    settings |= {"bos_token_id": None, "eos_token_id": None}
    torch.manual_seed(0)
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings | changes)).eval()
    for name, weight in llama.named_parameters():
        torch.nn.init.uniform_(weight, 0.5, 1.5) if "norm" in name else torch.nn.init.normal_(weight, std=0.3)
    return llama
