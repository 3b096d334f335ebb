"""Measure the overhead around the training step: Lightning, the data feed, evaluation, start-up.

    python -m benchmarks --only overhead

Lightning is compared with a bare loop of plain torch over the same network and feed, interleaved, at the 1M size and at the
size of the star graph, where a step takes milliseconds. The overhead of evaluation is its share of a demo run's time.
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


def train_with_lightning(experiment: Experiment) -> None:
    """Train with Lightning, without evaluation or files."""
    with quiet_lightning():
        make_trainer(experiment, []).fit(TrainingModule(experiment), Feed(experiment))


def make_bare_step(experiment: Experiment) -> Step:
    """Return a training step in plain torch, of the same network on the same feed."""
    network, feed = build(experiment), iter(Feed(experiment))

    def loss() -> Tensor:
        batch, matrices = next(feed), network.unembedding.matrices
        return multi_head_loss(network(batch.inputs.tokens_BS), matrices, Targets(*batch.targets), batch.counts_L).total

    return make_step(network, loss, bf16=False)


def train_bare(experiment: Experiment) -> None:
    """Train in a loop of plain torch."""
    step = make_bare_step(experiment)
    for _ in range(experiment.steps):
        step()


def measure_lightning(name: str, experiment: Experiment, rounds: int, steps: int) -> Finding:
    """Measure the time of a step with Lightning, divided by the time of a bare step.

    The time of a step is the difference of a long and a short run, so that set-up does not count.

    Args:
        name: Name of the experiment in the finding.
        experiment: The experiment to train.
        rounds: Number of runs of each length and kind.
        steps: Number of steps of a long run.
    """
    long = lab.override(experiment, {"steps": steps, "schedule.warmup_steps": 1, "threads": torch.get_num_threads()})
    short = lab.override(long, {"steps": 2})
    candidates = {
        "bare long": partial(train_bare, long),
        "lightning long": partial(train_with_lightning, long),
        "bare short": partial(train_bare, short),
        "lightning short": partial(train_with_lightning, short),
    }
    seconds = interleaved(candidates, rounds, warm_up=1)
    per_step = {
        kind: statistics.median(
            (a - b) / (steps - 2) for a, b in zip(seconds[f"{kind} long"], seconds[f"{kind} short"], strict=True)
        )
        for kind in ("bare", "lightning")
    }
    what = f"Lightning / bare loop, {name} step of {1e3 * per_step['bare']:.1f} ms"
    return Finding(what, per_step["lightning"] / per_step["bare"], "<=", 1.03)


def measure_feed(name: str, experiment: Experiment, rounds: int) -> Finding:
    """Measure the time of the data feed as a share of a step that includes it."""
    feed = iter(Feed(experiment))
    median = medians(interleaved({"feed": partial(next, feed), "step": make_bare_step(experiment)}, rounds))
    return Finding(f"feed, share of a {name} step", median["feed"] / median["step"], "<=", 0.02)


def measure_evaluation(rounds: int) -> Finding:
    """Measure the time of evaluation as a share of the training and evaluation time of a demo run."""
    experiment = lab.experiment("induction", CASES["induction"], n_future=2)
    network, evaluator = build(experiment), Evaluator(experiment)
    median = medians(interleaved({"evaluation": partial(evaluator, network), "step": make_bare_step(experiment)}, rounds))
    points = len(points_of(experiment))
    evaluating, training = points * median["evaluation"], experiment.steps * median["step"]
    return Finding("evaluation, share of a demo run", evaluating / (evaluating + training), "<=", 0.15)


def time_help(rounds: int) -> Finding:
    """Measure the wall time of `lab --help` in seconds."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in each("lab --help: round", range(rounds), at_most_every=1.0):
            start = time.perf_counter()
            subprocess.run([Path(sys.executable).with_name("lab"), "--help"], check=True, capture_output=True, cwd=folder)
            seconds.append(time.perf_counter() - start)
    return Finding("lab --help, seconds", statistics.median(seconds), "<=", 0.5)


def run(rounds: int = 7) -> list[Finding]:
    """Measure Lightning, the feed, evaluation and start-up."""
    large = lab.override(make_experiment("1M"), {"batch_size": SEQUENCES})
    star = lab.experiment("star", n_future=2)
    return [
        measure_lightning("1M", large, rounds, steps=12),
        measure_lightning("star", star, rounds, steps=60),
        measure_feed("1M", large, 3 * rounds),
        measure_feed("star", star, 3 * rounds),
        measure_feed("demo", lab.experiment("induction", CASES["induction"]), 3 * rounds),
        measure_evaluation(3 * rounds),
        time_help(rounds),
    ]
