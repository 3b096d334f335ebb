"""Time the instruments that look inside a network, and the writing of the weights that they need.

    python -m benchmarks.interp
    python -m benchmarks.interp --only kept

A new case is a function of the number of rounds and one line in `CASES`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import lab
from benchmarks.options import make_parser
from benchmarks.overhead import make_bare_step
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


def measure_kept_weights(rounds: int) -> Finding:
    """Measure the time to keep the weights at every point, as a share of the training and evaluation time of a demo run."""
    experiment = lab.experiment("induction", {**DEMO["induction"], "checkpoint.keep": "every"}, n_future=2)
    network, evaluator = build(experiment), Evaluator(experiment)
    with tempfile.TemporaryDirectory() as folder:
        candidates: dict[str, Callable[[], object]] = {
            "keeping": partial(save_weights, network, Path(folder) / "weights.safetensors"),
            "evaluation": partial(evaluator, network),
            "step": make_bare_step(experiment),
        }
        median = medians(interleaved(candidates, 3 * rounds))
    run_seconds = len(points_of(experiment)) * median["evaluation"] + experiment.steps * median["step"]
    share = len(kept_points(experiment)) * median["keeping"] / run_seconds
    return Finding("keeping the weights at every evaluation point, share of a demo run", share, "<=", 0.02)


def time_call(name: str, instrument: Callable[[], object], rounds: int) -> float:
    """Return the median time of a call in seconds, after one call of warm-up.

    Args:
        name: Name of the instrument in lines of progress.
        instrument: Makes the call.
        rounds: Number of timed calls.
    """
    return medians(interleaved({name: instrument}, rounds, warm_up=1))[name]


def time_probe(rounds: int) -> Finding:
    """Time the probes, with their controls, of every layer, position and target of a demo network, in seconds."""
    experiment = lab.experiment("induction", DEMO["induction"], n_future=2)
    seconds = time_call("probe", partial(probe, build(experiment), experiment.task), rounds)
    return Finding("probe of all layers and positions, seconds", seconds, "<=", 20.0)


def time_ablation(rounds: int) -> Finding:
    """Time an ablation of every component of a network of 4 layers on 512 sequences, in seconds."""
    experiment = lab.experiment("induction", n_future=1)
    seconds = time_call("ablation", partial(ablation, build(experiment), experiment.task, sequences=512), rounds)
    return Finding("ablation of all components, seconds", seconds, "<=", 20.0)


def time_patching(rounds: int) -> Finding:
    """Time patching of every state of a network of 4 layers at every named position, in both directions, in seconds."""
    experiment = lab.experiment("induction", n_future=1)
    seconds = time_call("patching", partial(patching, build(experiment), experiment.task), rounds)
    return Finding("patching of all states, seconds", seconds, "<=", 60.0)


def time_instrument(instrument: Callable[..., object], task: str, rounds: int) -> Finding:
    """Time an instrument with its default options on an untrained network of a task's default settings, in seconds."""
    experiment, name = lab.experiment(task, n_future=2), instrument.__name__
    seconds = time_call(name, partial(instrument, build(experiment).eval(), experiment.task), rounds)
    return Finding(f"{name} on {task}, seconds", seconds, "<=", 20.0)


CASES: dict[str, Callable[[int], Finding]] = {
    "kept": measure_kept_weights,
    "probe": time_probe,
    "ablation": time_ablation,
    "patching": time_patching,
    "attention": partial(time_instrument, attention, "induction"),
    "circuits": partial(time_instrument, circuits, "induction"),
    "choice-points": partial(time_instrument, choice_points, "maze"),
    "derailing": partial(time_instrument, derailing, "maze"),
}
"""Functions that time a case, by name."""


def run(rounds: int = 7) -> list[Finding]:
    """Time every case."""
    return [case(rounds) for case in CASES.values()]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7, help="rounds of interleaved timing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_findings("Instruments", [CASES[name](options.rounds) for name in each("case", options.only)])


if __name__ == "__main__":
    main()
