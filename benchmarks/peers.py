"""Training step against `transformers`' Llama and x-transformers of equal shape: same batch, threads, optimiser and clipping.

    python -m benchmarks --only peers

Every network is first tried in every setting (float32 or bfloat16 autocast, eager or `torch.compile`, all with torch's fused
attention); then the fastest setting of each is interleaved with ours.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.progress import each
from benchmarks.steps import LENGTH, SEQUENCES, VOCABULARY, Step, make_experiment, make_step, ours, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_table
from lab.config import Experiment
from lab.config.cost import inner_width

TARGET = 1.5
SIZES = ("1M", "3M")


def llama(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool, compiled: bool) -> Step:
    """The step of `transformers`' Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, n_heads = experiment.model.shape
    shape: dict[str, Any] = {
        "vocab_size": experiment.task.vocab_size,
        "hidden_size": width,
        "intermediate_size": inner_width(width, "swiglu"),
        "num_hidden_layers": layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_heads,
        "max_position_embeddings": LENGTH,
        "tie_word_embeddings": False,
        "use_cache": False,
        "attn_implementation": "sdpa",
    }
    network: nn.Module = LlamaForCausalLM(LlamaConfig(**shape))
    network.to(tokens_BT.device)
    call = torch.compile(network) if compiled else network
    return make_step(network, lambda: call(input_ids=tokens_BT, labels=tokens_BT).loss, bf16=bf16)


def x_transformers(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool, compiled: bool) -> Step:
    """The step of x-transformers' decoder with the parts of a Llama."""
    from x_transformers import Decoder, TransformerWrapper

    width, layers, n_heads = experiment.model.shape
    network: nn.Module = TransformerWrapper(
        num_tokens=experiment.task.vocab_size,
        max_seq_len=LENGTH,
        use_abs_pos_emb=False,
        attn_layers=Decoder(
            dim=width,
            depth=layers,
            heads=n_heads,
            attn_dim_head=width // n_heads,
            attn_flash=True,
            use_rmsnorm=True,
            rotary_pos_emb=True,
            rotary_emb_dim=width // n_heads,
            ff_glu=True,
            ff_swish=True,
            ff_mult=inner_width(width, "swiglu") / width,
            ff_no_bias=True,
        ),
    ).to(tokens_BT.device)
    call = torch.compile(network) if compiled else network

    def loss() -> Tensor:
        logits_RV = call(tokens_BT)[:, :-1].flatten(0, 1)
        return F.cross_entropy(logits_RV.float(), tokens_BT[:, 1:].flatten())

    return make_step(network, loss, bf16=bf16)


NETWORKS: dict[str, Callable[..., Step]] = {"ours": ours, "Llama": llama, "x-transformers": x_transformers}


def best_settings(size: str, rounds: int) -> tuple[dict[str, Step], list[list[str]]]:
    """The fastest setting of each network, and a row for everything that was tried."""
    experiment = make_experiment(size)
    tokens_BT = tokens_of(experiment, SEQUENCES)
    best, rows = {}, []
    for name, make in NETWORKS.items():
        tried = {
            f"{name}, {'bfloat16' if bf16 else 'float32'}, {'compiled' if compiled else 'eager'}": make(
                experiment, tokens_BT, bf16=bf16, compiled=compiled
            )
            for bf16, compiled in product((False, True), (False, True))
        }
        seconds = medians(interleaved(tried, rounds))
        fastest = min(seconds, key=seconds.__getitem__)
        best[fastest] = tried[fastest]
        rows += [
            [f"{size} {candidate}", f"{1e3 * median:.0f}", f"{tokens_BT.numel() / median:,.0f}"]
            for candidate, median in seconds.items()
        ]
    return best, rows


def run(rounds: int = 12, sizes: tuple[str, ...] = SIZES) -> list[Finding]:
    """Tokens a second of ours over the best peer's."""
    findings, rows = [], []
    for size in each("size", sizes):
        best, tried = best_settings(size, max(2, rounds // 4))
        rows += tried
        seconds = interleaved(best, rounds)
        mine, *others = best
        for peer in others:
            rows.append([f"{size} {mine} against {peer}", "", f"{paired_ratio(seconds, peer, mine):.2f} x"])
        ratio = min(paired_ratio(seconds, peer, mine) for peer in others)
        findings.append(Finding(f"tokens/s, {size} step, x the best peer at its best", ratio, ">=", TARGET))
    title = f"Training step, {SEQUENCES} rows of {LENGTH} tokens, vocabulary {VOCABULARY}"
    print_table(title, ["network and setting", "ms", "tokens/s"], rows)
    return findings
