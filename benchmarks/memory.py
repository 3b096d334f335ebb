"""Measure memory and time of many prediction heads at a large vocabulary, against one head and a loss that keeps all logits.

    python -m benchmarks --only memory

Memory is the peak of the resident memory of a process above its level before the step (on a GPU, the peak of its allocator);
the benchmark reports the median over fresh processes.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

import lab
from benchmarks.progress import each
from benchmarks.steps import Step, make_step, make_targets, ours, pick_device, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_table
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, Targets, multi_head_loss

VOCABULARY, WIDTH, LENGTH, SEQUENCES = 32768, 256, 256, 8
LAYERS = 10
"""Enough layers that n = 8 leaves a trunk at equal parameters."""
COMPARED = 4
"""Number of prediction heads with which the two losses are compared."""


def make_large_experiment(n_future: int) -> Experiment:
    """Return an experiment with V = 32768, d = 256 and 2048 tokens a step."""
    settings = {
        "model.width": WIDTH,
        "model.layers": LAYERS,
        "model.n_heads": 8,
        "task.vocabulary": VOCABULARY,
        "task.length": LENGTH,
        "task.test_period": None,
    }
    return lab.experiment("induction", settings, n_future=n_future)


def compute_naive_loss(hidden_NBTD: Tensor, matrix_VD: Tensor, targets_NBT: Tensor) -> Tensor:
    """Return the sum over prediction heads of their mean losses, in nats, with the logits of all heads in memory together."""
    logits_NBTV = F.linear(hidden_NBTD, matrix_VD)
    losses = [
        F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
        for logits_BTV, targets_BT in zip(logits_NBTV, targets_NBT, strict=True)
    ]
    return torch.stack(losses).sum()


def make_naive_step(experiment: Experiment, tokens_BT: Tensor) -> Step:
    """Return a training step of our network with the naive loss."""
    network = build(experiment).to(tokens_BT.device)
    targets_NBT = make_targets(tokens_BT, experiment.n_future)
    return make_step(
        network, lambda: compute_naive_loss(network(tokens_BT), network.unembedding.of_head(1), targets_NBT), bf16=False
    )


CANDIDATES: dict[str, Callable[[Experiment, Tensor], Step]] = {"ours": ours, "naive": make_naive_step}
"""Functions that make a step, by the loss."""


class StepCost(NamedTuple):
    """The cost of a step.

    Attributes:
        mib: Peak memory in MiB.
        seconds: Time in seconds.
    """

    mib: float
    seconds: float


def measure_in_processes(candidate: str, n_future: int, processes: int = 3) -> StepCost:
    """Return the median cost of a step over fresh processes, since the peak of the allocator varies by a few per cent."""
    costs = [measure_in_process(candidate, n_future) for _ in each(f"{candidate}, n = {n_future}: process", range(processes))]
    return StepCost(statistics.median(cost.mib for cost in costs), statistics.median(cost.seconds for cost in costs))


def measure_in_process(candidate: str, n_future: int) -> StepCost:
    """Return the cost of a step that `print_cost` measures in a fresh process."""
    threads = f"torch.set_num_threads({torch.get_num_threads()})"
    code = f"import torch, benchmarks.memory; {threads}; benchmarks.memory.print_cost({candidate!r}, {n_future})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return StepCost(*json.loads(done.stdout.splitlines()[-1]))


def print_cost(candidate: str, n_future: int) -> None:
    """Print the peak memory of two steps in MiB above the level before, and the seconds of the second, as JSON.

    It runs in a fresh process, since a peak never falls.
    """
    experiment = make_large_experiment(n_future)
    before = _peak_bytes()
    step = CANDIDATES[candidate](experiment, tokens_of(experiment, SEQUENCES))
    (seconds,) = interleaved({"step": step}, 1, warm_up=1)["step"]
    print(json.dumps([(_peak_bytes() - before) / 2**20, seconds]))


def _peak_bytes() -> int:
    """Return the peak memory of this process so far, in bytes."""
    if pick_device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # getrusage starts, after an exec, with the peak of the parent process
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def time_losses(n_future: int, rounds: int) -> dict[str, list[float]]:
    """Time the losses alone, forward and backward.

    Returns:
        Seconds by round of our loss, the naive loss, and our loss of one head.
    """
    hidden_NBTD = torch.randn(n_future, SEQUENCES, LENGTH, WIDTH, device=pick_device(), requires_grad=True)
    matrix_VD = torch.randn(VOCABULARY, WIDTH, device=pick_device()).mul_(WIDTH**-0.5).requires_grad_()
    targets_NBT = make_targets(tokens_of(make_large_experiment(1), SEQUENCES), n_future)
    counts_N = (targets_NBT != IGNORE).sum((1, 2))

    def our_loss(heads: int) -> Tensor:
        return multi_head_loss(hidden_NBTD[:heads], matrix_VD, Targets(targets_NBT[:heads]), counts_N[:heads]).total

    def backward(loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        hidden_NBTD.grad = matrix_VD.grad = None

    return interleaved(
        {
            "ours": lambda: backward(our_loss(n_future)),
            "naive": lambda: backward(compute_naive_loss(hidden_NBTD, matrix_VD, targets_NBT)),
            "one head": lambda: backward(our_loss(1)),
        },
        rounds,
        warm_up=1,
    )


def run(rounds: int = 6) -> list[Finding]:
    """Return ratios of memory and time to those of n = 1 and of the naive loss."""
    steps = {n: measure_in_processes("ours", n) for n in (1, 2, COMPARED, 8)}
    naive_mib = measure_in_processes("naive", COMPARED).mib
    seconds = time_losses(COMPARED, rounds)
    rows = [
        [f"ours, n = {n}", f"{step.mib:.0f}", f"{step.mib / steps[1].mib:.3f}", f"{step.seconds:.2f}"]
        for n, step in steps.items()
    ]
    rows.append([f"all logits, n = {COMPARED}", f"{naive_mib:.0f}", f"{naive_mib / steps[1].mib:.3f}", ""])
    title = f"Peak memory of a step: V = {VOCABULARY}, d = {WIDTH}, L = {LAYERS}, {SEQUENCES * LENGTH} tokens"
    print_table(title, ["condition", "MiB", "/ ours, n = 1", "seconds"], rows)
    median = medians(seconds)
    expected = steps[1].seconds + 7 * median["one head"]
    rows = [[name, f"{1e3 * value:.0f}"] for name, value in median.items()]
    print_table(f"Loss alone, n = {COMPARED}", ["condition", "ms"], rows)
    return [
        Finding(f"peak memory, n = 8 / n = 1, V = {VOCABULARY}", steps[8].mib / steps[1].mib, "<=", 1.10),
        Finding(f"peak memory, ours / all logits, n = {COMPARED}", steps[COMPARED].mib / naive_mib, "<=", 0.35),
        Finding("step time, n = 8 / (n = 1 and 7 times the loss of one head)", steps[8].seconds / expected, "<=", 1.10),
        Finding(f"time of the loss, ours / all logits, n = {COMPARED}", paired_ratio(seconds, "ours", "naive"), "<=", 1.15),
    ]
