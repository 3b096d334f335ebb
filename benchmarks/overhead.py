"""Overhead around the training step: Lightning, the data feed, evaluation, start-up.

    python -m benchmarks --only overhead

Lightning is compared with a bare loop of plain torch over the same network and feed, interleaved, at the 1M size and at the
size of the star graph, where a step takes milliseconds; evaluation is its share of a demo run's time.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import lab
from benchmarks.progress import each
from benchmarks.steps import SEQUENCES, Step, make_experiment, make_step
from benchmarks.timing import Finding, interleaved, medians
from lab.config import Experiment
from lab.evaluation.evaluator import Evaluator
from lab.evaluation.points import points_of
from lab.model import build
from lab.objectives import Targets, multi_head_loss
from lab.reproduce.demo_cases import CASES
from lab.training.feed import Feed
from lab.training.fit import make_trainer, quiet_lightning
from lab.training.module import TrainingModule


def fit(experiment: Experiment) -> None:
    """The steps through Lightning, without evaluation and files."""
    with quiet_lightning():
        make_trainer(experiment, []).fit(TrainingModule(experiment), Feed(experiment))


def bare(experiment: Experiment) -> Step:
    """A step of the same network on the same feed in a loop of plain torch."""
    network, feed = build(experiment), iter(Feed(experiment))

    def loss() -> Tensor:
        part, matrices = next(feed), network.unembedding.matrices
        return multi_head_loss(network(part.inputs.tokens_BS), matrices, Targets(*part.targets), part.counts_L).total

    return make_step(network, loss, bf16=False)


def loop(experiment: Experiment) -> None:
    """The steps of an experiment, bare."""
    step = bare(experiment)
    for _ in range(experiment.steps):
        step()


def lightning_overhead(name: str, experiment: Experiment, rounds: int, steps: int) -> Finding:
    """A step through Lightning x a bare one, by the difference of long and short runs, so that set-up does not count."""
    long = lab.override(experiment, {"steps": steps, "schedule.warmup_steps": 1, "threads": torch.get_num_threads()})
    short = lab.override(long, {"steps": 2})
    candidates = {
        "bare long": partial(loop, long),
        "lightning long": partial(fit, long),
        "bare short": partial(loop, short),
        "lightning short": partial(fit, short),
    }
    seconds = interleaved(candidates, rounds, warm_up=1)
    per_step = {
        kind: statistics.median(
            (a - b) / (steps - 2) for a, b in zip(seconds[f"{kind} long"], seconds[f"{kind} short"], strict=True)
        )
        for kind in ("bare", "lightning")
    }
    what = f"Lightning x a bare loop, {name} step of {1e3 * per_step['bare']:.1f} ms"
    return Finding(what, per_step["lightning"] / per_step["bare"], "<=", 1.03)


def feed_share(name: str, experiment: Experiment, rounds: int) -> Finding:
    """The feed's time as a share of a step with it."""
    feed = iter(Feed(experiment))
    median = medians(interleaved({"feed": partial(next, feed), "step": bare(experiment)}, rounds))
    return Finding(f"feed, share of a {name} step", median["feed"] / median["step"], "<=", 0.02)


def evaluation_share(rounds: int) -> Finding:
    """Evaluations of a demo run as a share of its training and evaluation together."""
    experiment = lab.experiment("induction", CASES["induction"], n_future=2)
    network, evaluator = build(experiment), Evaluator(experiment)
    median = medians(interleaved({"evaluation": partial(evaluator, network), "step": bare(experiment)}, rounds))
    points = len(points_of(experiment))
    evaluating, training = points * median["evaluation"], experiment.steps * median["step"]
    return Finding("evaluation, share of a demo run", evaluating / (evaluating + training), "<=", 0.15)


def start_up(rounds: int) -> Finding:
    """Seconds until `lab --help` has answered."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in each("lab --help: round", range(rounds), at_most_every=1.0):
            began = time.perf_counter()
            subprocess.run([Path(sys.executable).with_name("lab"), "--help"], check=True, capture_output=True, cwd=folder)
            seconds.append(time.perf_counter() - began)
    return Finding("lab --help, seconds", statistics.median(seconds), "<=", 0.5)


def run(rounds: int = 7) -> list[Finding]:
    """Lightning, feed, evaluation, start-up."""
    large = lab.override(make_experiment("1M"), {"batch_size": SEQUENCES})
    star = lab.experiment("star", n_future=2)
    return [
        lightning_overhead("1M", large, rounds, steps=12),
        lightning_overhead("star", star, rounds, steps=60),
        *(feed_share(name, each, 3 * rounds) for name, each in {"1M": large, "star": star}.items()),
        feed_share("demo", lab.experiment("induction", CASES["induction"]), 3 * rounds),
        evaluation_share(3 * rounds),
        start_up(rounds),
    ]
