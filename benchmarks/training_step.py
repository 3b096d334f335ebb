"""Training step against `transformers`' Llama of equal shape, same batch, same threads, same optimiser and clipping.

    python -m benchmarks.training_step --threads 2 --rounds 12

Both in float32 and in bfloat16 autocast; `--curves` trains on induction in both precisions to show that bfloat16 changes
nothing beyond the spread over seeds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

import lab
from benchmarks.timing import interleaved, medians, paired_ratio, print_table, verdict
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, future_targets, summed

ROWS, LENGTH, VOCABULARY = 16, 256, 256


def shaped(size: str, n_future: int = 1) -> Experiment:
    """An experiment with one of the paper's sizes and rows of 256 tokens."""
    settings = {"model.size": size, "task.vocabulary": VOCABULARY, "task.length": LENGTH, "task.test_period": None}
    return lab.experiment("induction", settings, n_future=n_future)


def stepper(network: nn.Module, loss: Callable[[], Tensor], *, bf16: bool) -> Callable[[], None]:
    """A whole training step: forward, backward, clip, AdamW."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def ours(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool = False) -> Callable[[], None]:
    """Our step on fixed tokens."""
    network, n = build(experiment), experiment.n_future
    everything = torch.ones_like(tokens_BT, dtype=torch.bool)

    def loss() -> Tensor:
        targets_NBT = future_targets(tokens_BT, everything, n)
        counts_N = (targets_NBT != IGNORE).sum((1, 2))
        return summed(network(tokens_BT), network.unembedding.weight, targets_NBT, counts_N).total

    return stepper(network, loss, bf16=bf16)


def llama(experiment: Experiment, tokens_BT: Tensor, *, bf16: bool) -> Callable[[], None]:
    """The step of `transformers`' Llama of the same shape on the same tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, n_heads = experiment.model.shape
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=experiment.task.vocab_size,
            hidden_size=width,
            intermediate_size=8 * round(width / 3),
            num_hidden_layers=layers,
            num_attention_heads=n_heads,
            num_key_value_heads=n_heads,
            max_position_embeddings=LENGTH,
            tie_word_embeddings=False,
            use_cache=False,
        )
    )
    return stepper(network, lambda: network(input_ids=tokens_BT, labels=tokens_BT).loss, bf16=bf16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--sizes", nargs="+", default=["1M", "3M"])
    parser.add_argument("--curves", action="store_true", help="compare loss curves of both precisions instead (minutes)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.curves:
        compare_curves()
        return
    rows = []
    for size in options.sizes:
        experiment = shaped(size)
        tokens_BT = torch.from_numpy(experiment.task.batch(0, 0, ROWS).tokens)
        arms = {
            "llama float32": llama(experiment, tokens_BT, bf16=False),
            "llama bfloat16": llama(experiment, tokens_BT, bf16=True),
            "ours float32": ours(experiment, tokens_BT),
            "ours bfloat16": ours(experiment, tokens_BT, bf16=True),
        }
        seconds = interleaved(arms, options.rounds)
        for name, median in medians(seconds).items():
            same = f"llama {name.split()[1]}"
            ratios = [paired_ratio(seconds, "llama float32", name), paired_ratio(seconds, same, name)]
            rows.append(
                [f"{size} {name}", f"{median * 1e3:.0f}", f"{tokens_BT.numel() / median:,.0f}", *(f"{r:.2f}" for r in ratios)]
            )
        rows.append([size, "", "", verdict(paired_ratio(seconds, "llama float32", "ours bfloat16"), 1.5, at_least=True), ""])
    print_table(
        f"Training step, {ROWS} rows of {LENGTH} tokens, vocabulary {VOCABULARY}",
        ["arm", "ms", "tokens/s", "x llama float32", "x llama, same precision"],
        rows,
    )


def compare_curves(seeds: int = 4, steps: int = 400, every: int = 50) -> None:
    """Next-token loss on the training stream in both precisions: difference at equal seed against the spread over seeds."""
    curves: dict[bool, list[list[float]]] = {False: [], True: []}
    for bf16 in curves:
        for seed in range(seeds):
            experiment = lab.experiment("induction", {"model.width": 64, "model.layers": 4}, seed=seed, steps=steps)
            curves[bf16].append(loss_curve(experiment, bf16=bf16, every=every))
    rows = []
    for position in range(steps // every):
        plain, rounded = ([curve[position] for curve in curves[kind]] for kind in (False, True))
        differences = [b - a for a, b in zip(plain, rounded, strict=True)]
        rows.append(
            [
                str((position + 1) * every),
                f"{statistics.mean(plain):.3f}",
                f"{statistics.mean(rounded):.3f}",
                f"{statistics.mean(differences):+.3f}",
                f"{statistics.stdev(differences):.3f}",
                f"{statistics.stdev(plain):.3f}",
            ]
        )
    titles = ["step", "float32 nats", "bfloat16 nats", "difference", "its sd", "sd over seeds, float32"]
    print_table(f"Loss over the last {every} steps, induction, d 64, {seeds} seeds", titles, rows)


def loss_curve(experiment: Experiment, *, bf16: bool, every: int) -> list[float]:
    """Mean training loss in nats of each `every` steps at a constant rate after warm-up."""
    network = build(experiment)
    rate, warmup = experiment.optimiser.peak_lr, experiment.schedule.warmup_steps
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    losses: list[float] = []
    for step in range(experiment.steps):
        tokens_BT = torch.from_numpy(experiment.task.batch(experiment.seed, step, experiment.batch_size).tokens)
        targets_NBT = future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            hidden_NBTD = network(tokens_BT)
            loss = summed(hidden_NBTD, network.unembedding.weight, targets_NBT, (targets_NBT != IGNORE).sum((1, 2))).total
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / warmup)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return [statistics.mean(losses[begin : begin + every]) for begin in range(0, len(losses), every)]


if __name__ == "__main__":
    main()
