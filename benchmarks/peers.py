"""Compare our training step with those of `transformers`' Llama and x-transformers.

    python -m benchmarks --only peers

All have the same shape, batch, threads, optimiser and clipping. Every network is timed in every setting first: float32 or
bfloat16 autocast, eager or `torch.compile`, always with torch's fused attention. Then the networks take turns, each in its
fastest setting. Shapes: P positions of a batch, V vocabulary.
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
"""Least ratio of our tokens per second to those of the fastest peer."""
SIZES = ("1M", "3M")


def make_llama_step(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool, compiled: bool) -> Step:
    """Return a training step of `transformers`' Llama; arguments as in `benchmarks.steps.ours`."""
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


def make_x_transformers_step(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool, compiled: bool) -> Step:
    """Return a training step of x-transformers' decoder with the parts of a Llama; arguments as in `benchmarks.steps.ours`."""
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
        logits_PV = call(tokens_BT)[:, :-1].flatten(0, 1)
        return F.cross_entropy(logits_PV.float(), tokens_BT[:, 1:].flatten())

    return make_step(network, loss, bf16=bf16)


NETWORKS: dict[str, Callable[..., Step]] = {
    "ours": ours,
    "Llama": make_llama_step,
    "x-transformers": make_x_transformers_step,
}
"""Functions that make a training step, by network; ours is first."""


def find_fastest_settings(size: str, rounds: int) -> tuple[dict[str, Step], list[list[str]]]:
    """Time every network in every setting.

    Returns:
        The step of each network in its fastest setting, by name; and a row for every step: name, milliseconds, tokens/s.
    """
    experiment = make_experiment(size)
    tokens_BT = tokens_of(experiment, SEQUENCES)
    fastest, rows = {}, []
    for name, make in NETWORKS.items():
        steps = {
            f"{name}, {'bfloat16' if bf16 else 'float32'}, {'compiled' if compiled else 'eager'}": make(
                experiment, tokens_BT, bf16=bf16, compiled=compiled
            )
            for bf16, compiled in product((False, True), (False, True))
        }
        seconds = medians(interleaved(steps, rounds))
        winner = min(seconds, key=seconds.__getitem__)
        fastest[winner] = steps[winner]
        rows += [
            [f"{size} {candidate}", f"{1e3 * median:.0f}", f"{tokens_BT.numel() / median:,.0f}"]
            for candidate, median in seconds.items()
        ]
    return fastest, rows


def run(rounds: int = 12, sizes: tuple[str, ...] = SIZES) -> list[Finding]:
    """Return the tokens per second of our network, divided by those of the fastest peer, for each size."""
    findings, rows = [], []
    for size in each("size", sizes):
        fastest, timed = find_fastest_settings(size, max(2, rounds // 4))
        rows += timed
        seconds = interleaved(fastest, rounds)
        mine, *peers = fastest
        for peer in peers:
            rows.append([f"{size} {mine} / {peer}", "", f"{paired_ratio(seconds, peer, mine):.2f} x"])
        ratio = min(paired_ratio(seconds, peer, mine) for peer in peers)
        findings.append(Finding(f"tokens/s, {size} training step, ours / fastest peer", ratio, ">=", TARGET))
    title = f"Training step, {SEQUENCES} sequences of {LENGTH} tokens, vocabulary {VOCABULARY}"
    print_table(title, ["network and setting", "ms", "tokens/s"], rows)
    return findings
