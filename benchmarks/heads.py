"""What prediction heads cost: step time at a small vocabulary, memory and time at a large one.

    python -m benchmarks.heads

Memory is the peak of the process's resident memory above its level before the step, measured in a fresh process for each arm.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor

import lab
from benchmarks.timing import interleaved, medians, paired_ratio, print_table, verdict
from benchmarks.training_step import ours
from lab.config import Experiment
from lab.objectives import IGNORE, future_targets, summed

SMALL_VOCABULARY, LARGE_VOCABULARY, WIDTH = 32, 32768, 256
LAYERS = 10
"""So many that n = 8 leaves a trunk at equal parameters."""


def large(n_future: int) -> Experiment:
    """An experiment at V = 32768, d = 256 with 2048 tokens a step."""
    settings = {
        "model.width": WIDTH,
        "model.layers": LAYERS,
        "model.n_heads": 8,
        "task.vocabulary": LARGE_VOCABULARY,
        "task.length": 256,
        "task.test_period": None,
    }
    return lab.experiment("induction", settings, n_future=n_future)


def tokens_of(experiment: Experiment, rows: int) -> Tensor:
    """Random tokens, (rows, T): what they are does not matter to time and memory."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(experiment.task.vocab_size, (rows, experiment.task.length), generator=generator)


def small_vocabulary(rounds: int) -> None:
    """Step time of n = 1, 2, 4 at equal parameters and a small vocabulary."""
    rows = []
    for size, layers, width in (("1M", 5, 128), ("d 64, L 6", 6, 64)):
        arms = {}
        for n in (1, 2, 4):
            settings = {"model.width": width, "model.layers": layers, "task.vocabulary": SMALL_VOCABULARY, "task.length": 256}
            experiment = lab.experiment("induction", {**settings, "task.test_period": None}, n_future=n)
            arms[f"n = {n}"] = ours(experiment, tokens_of(experiment, 16))
        seconds = interleaved(arms, rounds)
        for name, median in medians(seconds).items():
            ratio = paired_ratio(seconds, name, "n = 1")
            shown = verdict(ratio, 1.05, at_least=False) if name == "n = 4" else f"{ratio:.3f}"
            rows.append([f"{size}, {name}", f"{median * 1e3:.1f}", shown])
    print_table(f"Step time at equal parameters, vocabulary {SMALL_VOCABULARY}", ["arm", "ms", "x n = 1"], rows)


def large_vocabulary(rounds: int) -> None:
    """Memory and time of n = 1 .. 8 at V = 32768 with 2048 tokens."""
    measured = {n: json.loads(_fresh("measure", n)) for n in (1, 2, 4, 8)}
    one_loss = loss_seconds(rounds)
    rows = []
    for n, values in measured.items():
        memory = values["peak_mb"] / measured[1]["peak_mb"]
        allowed = measured[1]["seconds"] + (n - 1) * one_loss
        time_ratio = values["seconds"] / allowed
        rows.append(
            [
                f"n = {n}",
                f"{values['peak_mb']:.0f}",
                verdict(memory, 1.10, at_least=False) if n == 8 else f"{memory:.3f}",
                f"{values['seconds']:.2f}",
                verdict(time_ratio, 1.10, at_least=False) if n == 8 else f"{time_ratio:.3f}",
            ]
        )
    print_table(
        f"V = {LARGE_VOCABULARY}, d = {WIDTH}, L = {LAYERS}, 2048 tokens; one head's loss alone {one_loss:.2f} s",
        ["arm", "peak MB", "x n = 1", "seconds a step", "x (step of n = 1 + (n - 1) losses)"],
        rows,
    )


def loss_seconds(rounds: int) -> float:
    """Median seconds of one head's loss, forward and backward, on its own."""
    experiment = large(1)
    hidden = torch.randn(1, 8, 256, WIDTH, requires_grad=True)
    matrix = torch.randn(LARGE_VOCABULARY, WIDTH).mul_(WIDTH**-0.5).requires_grad_()
    tokens_BT = tokens_of(experiment, 8)
    targets_NBT = future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), 1)
    counts_N = (targets_NBT != IGNORE).sum((1, 2))
    times = interleaved({"loss": lambda: summed(hidden, matrix, targets_NBT, counts_N).total.backward()}, rounds)  # type: ignore[no-untyped-call]
    return statistics.median(times["loss"])


def measure(n_future: int) -> None:
    """In a fresh process: peak memory of a step above what stood before, and median seconds."""
    experiment = large(n_future)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = ours(experiment, tokens_of(experiment, 8))
    step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"peak_mb": (peak - before) / 1024, "seconds": statistics.median(seconds)}))


def _fresh(function: str, n_future: int) -> str:
    threads = torch.get_num_threads()
    code = f"import torch; torch.set_num_threads({threads}); import benchmarks.heads as h; h.{function}({n_future})"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1, help="a run of the laboratory has one")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    small_vocabulary(options.rounds)
    large_vocabulary(max(3, options.rounds // 2))


if __name__ == "__main__":
    main()
