"""Compare loss curves in float32 and bfloat16 at equal seeds.

python -m benchmarks.precision
"""

from __future__ import annotations

import statistics

import torch
from torch import nn

import lab
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.steps import compute_loss, make_targets
from benchmarks.timing import print_table
from lab.config import Experiment
from lab.model import build


def compare_curves(seeds: int = 4, steps: int = 400, every: int = 50) -> None:
    """Print next-token training losses in both precisions, their differences at equal seeds, and the spread over seeds.

    Args:
        seeds: Number of runs in each precision.
        steps: Number of steps of a run.
        every: Number of steps whose mean losses are a row of the table.
    """
    curves: dict[bool, list[list[float]]] = {False: [], True: []}
    for bf16 in curves:
        for seed in each(f"{'bfloat16' if bf16 else 'float32'}: seed", range(seeds)):
            experiment = lab.experiment("induction", {"model.width": 64, "model.layers": 4}, seed=seed, steps=steps)
            curves[bf16].append(compute_loss_curve(experiment, bf16=bf16, every=every))
    rows = []
    for position in range(steps // every):
        float32, bfloat16 = ([curve[position] for curve in curves[bf16]] for bf16 in (False, True))
        differences = [b - a for a, b in zip(float32, bfloat16, strict=True)]
        rows.append(
            [
                str((position + 1) * every),
                f"{statistics.mean(float32):.3f}",
                f"{statistics.mean(bfloat16):.3f}",
                f"{statistics.mean(differences):+.3f}",
                f"{statistics.stdev(differences):.3f}",
                f"{statistics.stdev(float32):.3f}",
            ]
        )
    columns = ["step", "float32 nats", "bfloat16 nats", "difference", "its sd", "sd over seeds, float32"]
    print_table(f"Loss over the last {every} steps, induction, d 64, {seeds} seeds", columns, rows)


def compute_loss_curve(experiment: Experiment, *, bf16: bool, every: int) -> list[float]:
    """Train at a constant learning rate after warm-up, and return the mean loss in nats of every `every` steps."""
    network = build(experiment)
    rate, warmup = experiment.optimiser.peak_lr, experiment.schedule.warmup_steps
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    losses: list[float] = []
    for step in range(experiment.steps):
        tokens_BT = torch.from_numpy(experiment.task.batch(experiment.seed, step, experiment.batch_size).tokens)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = compute_loss(network, network(tokens_BT), make_targets(tokens_BT, 1))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / warmup)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return [statistics.mean(losses[begin : begin + every]) for begin in range(0, len(losses), every)]


def main() -> None:
    make_parser(__doc__).parse_args()
    compare_curves()


if __name__ == "__main__":
    main()
