"""Time of the instruments that look inside a network, and of keeping the weights that they look at.

    python -m benchmarks.interp
    python -m benchmarks.interp --only kept

A new case is a function of the number of rounds and one line in `CASES`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import lab
from benchmarks.overhead import bare
from benchmarks.progress import each
from benchmarks.timing import Finding, interleaved, medians, print_findings
from lab.evaluation.evaluator import Evaluator
from lab.evaluation.points import kept_points, points_of
from lab.interp.ablation import ablation
from lab.interp.attention import attention
from lab.interp.choice_points import choice_points
from lab.interp.circuits import circuits
from lab.interp.derailing import derailing
from lab.interp.patching import patching
from lab.interp.probe import probe
from lab.model import build
from lab.reproduce.demo_cases import CASES as DEMO
from lab.runs.weights import save_weights


def kept_share(rounds: int) -> Finding:
    """Keeping the weights at every evaluation point, as a share of a demo run's training and evaluation."""
    experiment = lab.experiment("induction", {**DEMO["induction"], "checkpoint.keep": "every"}, n_future=2)
    network, evaluator = build(experiment), Evaluator(experiment)
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], object]] = {
            "keeping": partial(save_weights, network, Path(folder) / "weights.safetensors"),
            "evaluation": partial(evaluator, network),
            "step": bare(experiment),
        }
        median = medians(interleaved(parts, 3 * rounds))
    run = len(points_of(experiment)) * median["evaluation"] + experiment.steps * median["step"]
    return Finding(
        "kept weights at every point, share of a demo run",
        len(kept_points(experiment)) * median["keeping"] / run,
        "<=",
        0.02,
    )


def probe_seconds(rounds: int) -> Finding:
    """Probes of every layer, position and target of a demo network with its controls, in seconds."""
    experiment = lab.experiment("induction", DEMO["induction"], n_future=2)
    timed = {"probe": partial(probe, build(experiment), experiment.task)}
    return Finding("probe of all layers and positions, seconds", medians(interleaved(timed, rounds, 1))["probe"], "<=", 20.0)


def ablation_seconds(rounds: int) -> Finding:
    """Ablation of every component of a network of 4 layers on 512 sequences, in seconds."""
    experiment = lab.experiment("induction", n_future=1)
    timed = {"ablation": partial(ablation, build(experiment), experiment.task, sequences=512)}
    return Finding("ablation of all components, seconds", medians(interleaved(timed, rounds, 1))["ablation"], "<=", 20.0)


def patching_seconds(rounds: int) -> Finding:
    """Patching of every state of a network of 4 layers at every named position, both ways, in seconds."""
    experiment = lab.experiment("induction", n_future=1)
    timed = {"patching": partial(patching, build(experiment), experiment.task)}
    return Finding("grid of patches, seconds", medians(interleaved(timed, rounds, 1))["patching"], "<=", 60.0)


def seconds_of(measure: Callable[..., object], task: str, rounds: int) -> Finding:
    """An instrument with its default options on the network of a task's default experiment, in seconds."""
    experiment = lab.experiment(task, n_future=2)
    timed = {"measure": partial(measure, build(experiment).eval(), experiment.task)}
    return Finding(f"{measure.__name__} on {task}, seconds", medians(interleaved(timed, rounds, 1))["measure"], "<=", 20.0)


CASES: dict[str, Callable[[int], Finding]] = {
    "kept": kept_share,
    "probe": probe_seconds,
    "ablation": ablation_seconds,
    "patching": patching_seconds,
    "attention": partial(seconds_of, attention, "induction"),
    "circuits": partial(seconds_of, circuits, "induction"),
    "choice-points": partial(seconds_of, choice_points, "maze"),
    "derailing": partial(seconds_of, derailing, "maze"),
}
"""What is timed, by name."""


def run(rounds: int = 7) -> list[Finding]:
    """Time every case."""
    return [case(rounds) for case in CASES.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7, help="of interleaved timing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_findings("Instruments", [CASES[name](options.rounds) for name in each("case", options.only)])


if __name__ == "__main__":
    main()
