"""Run every benchmark, then print one table of all numbers that have a target.

python -m benchmarks --threads 1                 about 20 minutes; docs/performance.md has the numbers of a run
python -m benchmarks --only peak memory          some of them; --rounds sets the rounds of each
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks import decode, ensemble, heads, interp, memory, overhead, peak, peers, scaling, startup, sweep, tasks
from benchmarks.options import make_parser
from benchmarks.progress import each
from benchmarks.timing import Finding, print_findings

BENCHMARKS: dict[str, Callable[..., list[Finding]]] = {
    "tasks": tasks.run,
    "heads": heads.run,
    "peak": peak.run,
    "memory": memory.run,
    "overhead": overhead.run,
    "interp": interp.run,
    "startup": startup.run,
    "scaling": partial(scaling.run, figure=scaling.FIGURE),
    "ensemble": ensemble.run,
    "sweep": sweep.run,
    "decode": decode.run,
    "peers": peers.run,
}
"""Functions that run a benchmark and return its findings, by name."""


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; a run of the laboratory has one")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--rounds", type=int, help="rounds of interleaved timing (default: as each benchmark sets)")
    options = parser.parse_args()
    rounds = {} if options.rounds is None else {"rounds": options.rounds}
    torch.set_num_threads(options.threads)
    findings: list[Finding] = []
    for name in each("benchmark", options.only):
        start = time.monotonic()
        findings += BENCHMARKS[name](**rounds)
        print(f"{name}: {time.monotonic() - start:.0f} s\n", flush=True)
    print_findings("Everything that has a target", findings)


if __name__ == "__main__":
    main()
