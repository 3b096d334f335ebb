"""Measure the processor time of commands, each in a fresh process, as a multiple of `import torch`.

    python -m benchmarks.startup

The commands and `import torch` take turns, so that other programs and the file cache affect all equally. The time is the
processor time of the process, user and system, since wall time on a busy machine means little.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import lab
from benchmarks.options import make_parser
from benchmarks.timing import Finding, call_in_turns, medians, paired_ratio, print_findings, print_table
from lab.training import train_each

BASELINE = "import torch"
SEEDS = 6
"""Number of seeds of each configuration whose runs the commands read."""
SHORT = {"steps": 10, "schedule.warmup_steps": 2, "evaluation.every": 2, "evaluation.examples": 16}
"""Settings of these runs."""

_LAB = ("-m", "lab")
_ONE_STEP = ("--steps", "1", "--schedule.warmup_steps", "0", "--evaluation.examples", "16")
COMMANDS: dict[str, tuple[str, ...]] = {
    BASELINE: ("-c", "import torch"),
    "lab --help": (*_LAB, "--help"),
    "import lab": ("-c", "import lab; lab.experiment"),
    "lab runs": (*_LAB, "runs", "runs"),
    "lab plot": (*_LAB, "plot", "emergence", "runs", "-o", "figure.png", "--force"),
    "lab train, to the first step": (*_LAB, "train", "induction", *_ONE_STEP, "--out"),
}
"""Arguments of Python, by command. The run of one step is measured as a whole, with its folder and two small evaluations."""
TARGETS = {"lab --help": 0.3, "import lab": 0.5, "lab runs": 0.5, "lab plot": 1.0, "lab train, to the first step": 2.0}
"""Largest multiples of the time of `import torch`."""


def time_command(name: str, folder: Path) -> float:
    """Run a command in a fresh process and return its processor time, user and system, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = (tempfile.mkdtemp(dir=folder) + "/run",) if COMMANDS[name][-1] == "--out" else ()
    subprocess.run([sys.executable, *COMMANDS[name], *out], check=True, capture_output=True, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run(rounds: int = 7) -> list[Finding]:
    """Return the processor time of each command, divided by that of `import torch`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = lab.experiment("induction", SHORT)
        train_each(
            {
                folder / f"runs/n{n}-seed{seed}": lab.override(experiment, {"n_future": n, "seed": seed})
                for n in (1, 2)
                for seed in range(SEEDS)
            }
        )
        times = call_in_turns({command: partial(time_command, command, folder) for command in COMMANDS}, rounds)
    rows = [[command, f"{median:.2f}"] for command, median in medians(times).items()]
    print_table("Processor time in a fresh process", ["command", "s"], rows)
    return [
        Finding(f"{command} / {BASELINE}", paired_ratio(times, command, BASELINE), "<=", TARGETS[command])
        for command in TARGETS
    ]


def main() -> None:
    make_parser(__doc__).parse_args()
    print_findings("Start-up", run())


if __name__ == "__main__":
    main()
