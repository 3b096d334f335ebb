"""Measure the share of each kind of operation in a training step, with torch's profiler.

python -m benchmarks.profile --sizes star 1M 3M --threads 1
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile

import lab
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, Step, make_experiment, ours, tokens_of
from benchmarks.timing import print_table

KINDS = {
    "matrix products": ("mm", "addmm", "linear"),
    "attention's products": ("bmm", "baddbmm", "_scaled_dot_product"),
    "softmax and logits": (
        "_softmax",
        "_log_softmax",
        "softmax",
        "log_softmax",
        "exp",
        "gather",
        "scatter",
        "logsumexp",
        "max",
        "amax",
    ),
    "copies and casts": ("copy", "cat", "fill", "_to_copy", "clone", "zero"),
    "gates": ("silu", "gelu", "sigmoid"),
    "sums, products of arrays": ("mul", "add", "sub", "addcmul", "div", "neg", "sum", "addmv", "linalg_vector_norm", "pow"),
    "optimiser": ("_fused_adamw", "_foreach"),
}
"""First words of the names of operations, by kind; an operation has the first kind that matches."""


def classify(operation: str) -> str:
    """Return the kind of an operation; an operation of no kind is overhead of Python, autograd and torch."""
    name = operation.removeprefix("aten::")
    plain = name.removesuffix("_")
    for kind, names in KINDS.items():
        if any(plain == word or plain.startswith(word + "_") for word in names):
            return kind
    return "overhead"


def measure_shares(step: Step, steps: int) -> dict[str, float]:
    """Return the share of each kind of operation in the processor time of steps, in [0, 1], after three steps of warm-up."""
    for _ in range(3):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            step()
    sums: dict[str, float] = defaultdict(float)
    for entry in profiler.key_averages():
        sums[classify(entry.key)] += entry.self_cpu_time_total
    total = sum(sums.values())
    return {kind: value / total for kind, value in sums.items()}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; a run of the laboratory has one")
    parser.add_argument("--sizes", nargs="+", default=["star", "1M", "3M"])
    parser.add_argument("--steps", type=int, default=5, help="profiled steps; ten times as many of the star's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    columns: dict[str, dict[str, float]] = {}
    for size in each("size", options.sizes):
        is_star = size == "star"
        experiment = lab.experiment("star", n_future=2) if is_star else make_experiment(size)
        tokens_BT = tokens_of(experiment, experiment.batch_size if is_star else SEQUENCES)
        steps = 10 * options.steps if is_star else options.steps
        for bf16 in (False,) if is_star else (False, True):
            column = f"{size} {'bf16' if bf16 else 'f32'}"
            columns[column] = measure_shares(ours(experiment, tokens_BT, bf16=bf16), steps)
    rows = [[kind, *(f"{100 * column.get(kind, 0):.1f} %" for column in columns.values())] for kind in (*KINDS, "overhead")]
    print_table("Share of a step", ["kind", *columns], rows)


if __name__ == "__main__":
    main()
