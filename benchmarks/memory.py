"""Memory and time of many prediction heads at a large vocabulary, against one head and against a loss that holds all logits.

    python -m benchmarks --only memory

Memory is the peak of the process's resident memory above its level before the step, the median over fresh processes (on a GPU,
the peak of its allocator).
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
from benchmarks.steps import Step, make_step, ours, pick_device, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_table
from lab.config import Experiment
from lab.model import build
from lab.objectives import IGNORE, Targets, future_targets, multi_head_loss

VOCABULARY, WIDTH, ROWS = 32768, 256, 8
LAYERS = 10
"""Enough that n = 8 leaves a trunk at equal parameters."""
MANY = 4
"""Prediction heads at which the two losses are compared."""


def large(n_future: int) -> Experiment:
    """An experiment at V = 32768, d = 256 with 2048 tokens a step."""
    settings = {
        "model.width": WIDTH,
        "model.layers": LAYERS,
        "model.n_heads": 8,
        "task.vocabulary": VOCABULARY,
        "task.length": 256,
        "task.test_period": None,
    }
    return lab.experiment("induction", settings, n_future=n_future)


def naive_loss(hidden_NBTD: Tensor, matrix_VD: Tensor, targets_NBT: Tensor) -> Tensor:
    """The sum over heads of their mean losses, with all logits at once."""
    logits_NBTV = F.linear(hidden_NBTD, matrix_VD)
    losses = [
        F.cross_entropy(one.flatten(0, 1), targets.flatten()) for one, targets in zip(logits_NBTV, targets_NBT, strict=True)
    ]
    return torch.stack(losses).sum()


def naive(experiment: Experiment, tokens_BT: Tensor) -> Step:
    """Our network under the naive loss."""
    network = build(experiment).to(tokens_BT.device)
    targets_NBT = targets_of(tokens_BT, experiment.n_future)
    return make_step(network, lambda: naive_loss(network(tokens_BT), network.unembedding.of_head(1), targets_NBT), bf16=False)


def targets_of(tokens_BT: Tensor, n_future: int) -> Tensor:
    """(N, B, T)."""
    return future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), n_future)


CANDIDATES: dict[str, Callable[[Experiment, Tensor], Step]] = {"ours": ours, "naive": naive}


class Measured(NamedTuple):
    """Peak memory of a step in MB, and its seconds."""

    mb: float
    seconds: float


def fresh(candidate: str, n_future: int, processes: int = 3) -> Measured:
    """Return the medians of `measure` over fresh processes: the peak of an allocator varies by some per cent."""
    said = [in_a_process(candidate, n_future) for _ in each(f"{candidate}, n = {n_future}: process", range(processes))]
    return Measured(statistics.median(each.mb for each in said), statistics.median(each.seconds for each in said))


def in_a_process(candidate: str, n_future: int) -> Measured:
    """Return the result of `measure` in a fresh process."""
    threads = f"torch.set_num_threads({torch.get_num_threads()})"
    code = f"import torch, benchmarks.memory; {threads}; benchmarks.memory.measure({candidate!r}, {n_future})"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return Measured(*json.loads(answer.stdout.splitlines()[-1]))


def measure(candidate: str, n_future: int) -> None:
    """In a fresh process: print the peak memory of two steps above what stood before, and the time of the second."""
    experiment = large(n_future)
    before = _held()
    step = CANDIDATES[candidate](experiment, tokens_of(experiment, ROWS))
    (seconds,) = interleaved({"step": step}, 1, warm_up=1)["step"]
    print(json.dumps([(_held() - before) / 2**20, seconds]))


def _held() -> int:
    """Bytes held at most so far."""
    if pick_device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # the other count begins, after an exec, with the peak of the process that started this one
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def loss_times(n_future: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of both losses alone, forward and backward, interleaved; and of one head's, ours."""
    hidden = torch.randn(n_future, ROWS, 256, WIDTH, device=pick_device(), requires_grad=True)
    matrix = torch.randn(VOCABULARY, WIDTH, device=pick_device()).mul_(WIDTH**-0.5).requires_grad_()
    targets_NBT = targets_of(tokens_of(large(1), ROWS), n_future)
    counts_N = (targets_NBT != IGNORE).sum((1, 2))

    def backward(loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        hidden.grad = matrix.grad = None

    return interleaved(
        {
            "ours": lambda: backward(multi_head_loss(hidden, matrix, Targets(targets_NBT), counts_N).total),
            "naive": lambda: backward(naive_loss(hidden, matrix, targets_NBT)),
            "one head": lambda: backward(multi_head_loss(hidden[:1], matrix, Targets(targets_NBT[:1]), counts_N[:1]).total),
        },
        rounds,
        warm_up=1,
    )


def run(rounds: int = 6) -> list[Finding]:
    """Memory x n = 1 and x the naive loss, time x the naive loss."""
    steps = {n: fresh("ours", n) for n in (1, 2, MANY, 8)}
    naive_mb = fresh("naive", MANY).mb
    seconds = loss_times(MANY, rounds)
    rows = [
        [f"ours, n = {n}", f"{step.mb:.0f}", f"{step.mb / steps[1].mb:.3f}", f"{step.seconds:.2f}"] for n, step in steps.items()
    ]
    rows.append([f"all logits, n = {MANY}", f"{naive_mb:.0f}", f"{naive_mb / steps[1].mb:.3f}", ""])
    title = f"Peak memory of a step: V = {VOCABULARY}, d = {WIDTH}, L = {LAYERS}, {ROWS * 256} tokens"
    print_table(title, ["arm", "MB", "x ours, n = 1", "seconds"], rows)
    median = medians(seconds)
    without_overhead = steps[1].seconds + 7 * median["one head"]
    print_table(f"Loss alone, n = {MANY}", ["arm", "ms"], [[name, f"{1e3 * value:.0f}"] for name, value in median.items()])
    return [
        Finding(f"peak memory, n = 8 x n = 1, V = {VOCABULARY}", steps[8].mb / steps[1].mb, "<=", 1.10),
        Finding(f"peak memory x all logits, n = {MANY}", steps[MANY].mb / naive_mb, "<=", 0.35),
        Finding(
            "step time, n = 8 x (step of n = 1 and 7 x one head's loss)",
            steps[8].seconds / without_overhead,
            "<=",
            1.10,
        ),
        Finding(f"time of the loss x all logits, n = {MANY}", paired_ratio(seconds, "ours", "naive"), "<=", 1.15),
    ]
