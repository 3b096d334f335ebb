"""What surrounds the training step: Lightning, the data feed, evaluation, start-up.

    python -m benchmarks.overhead --threads 2

Lightning is compared with a bare loop of the same steps at the 1M size, in turns; evaluation is its share of a demo run's time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import lab
from benchmarks.timing import interleaved, medians, print_table, verdict
from benchmarks.training_step import ROWS, shaped
from lab.config import Experiment
from lab.demo import SETTINGS
from lab.model import build
from lab.training.evaluation import Evaluator
from lab.training.feed import Feed, Part
from lab.training.fit import make_trainer, quiet_lightning
from lab.training.module import TrainingModule
from lab.training.points import evaluation_points


def fit(experiment: Experiment) -> None:
    """The steps through Lightning, without evaluation and files."""
    with quiet_lightning():
        make_trainer(experiment, []).fit(TrainingModule(experiment), Feed(experiment))


def stepper(experiment: Experiment) -> Callable[[Part], None]:
    """A whole bare step: forward, backward, clipping, AdamW, schedule."""
    module = TrainingModule(experiment)
    configured = module.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]

    def step(part: Part) -> None:
        loss = module.training_step(part, 0)
        optimiser.zero_grad()
        loss.backward()
        module.configure_gradient_clipping(optimiser)
        optimiser.step()
        schedule.step()

    return step


def loop(experiment: Experiment) -> None:
    """The steps of an experiment, bare."""
    step, feed = stepper(experiment), iter(Feed(experiment))
    for _ in range(experiment.steps):
        step(next(feed))


def lightning_overhead(rounds: int, steps: int = 12) -> list[list[str]]:
    """Seconds a step beyond the first, by the difference of long and short runs, so that set-up does not count."""
    chosen = {"steps": steps, "batch_size": ROWS, "schedule.warmup_steps": 1}
    long = lab.override(shaped("1M"), chosen)
    short = lab.override(long, {"steps": 2})
    arms = {
        "bare long": lambda: loop(long),
        "lightning long": lambda: fit(long),
        "bare short": lambda: loop(short),
        "lightning short": lambda: fit(short),
    }
    seconds = interleaved(arms, rounds, warm_up=1)
    per_step = {
        kind: statistics.median(
            (a - b) / (steps - 2) for a, b in zip(seconds[f"{kind} long"], seconds[f"{kind} short"], strict=True)
        )
        for kind in ("bare", "lightning")
    }
    share = per_step["lightning"] / per_step["bare"]
    return [
        ["bare loop, 1M step", f"{per_step['bare'] * 1e3:.1f} ms", ""],
        ["Lightning, 1M step", f"{per_step['lightning'] * 1e3:.1f} ms", verdict(share, 1.03, at_least=False)],
    ]


def feed_share(rounds: int) -> list[list[str]]:
    """The feed's time as a share of a 1M step and of a demo step."""
    rows = []
    large = lab.override(shaped("1M"), {"batch_size": ROWS})
    for name, experiment in {"1M": large, "demo": lab.experiment("induction", SETTINGS)}.items():
        feed, step = iter(Feed(experiment)), stepper(experiment)
        part = next(feed)
        median = medians(interleaved({"feed": partial(next, feed), "step": partial(step, part)}, rounds))
        share = median["feed"] / median["step"]
        rows.append([f"feed, {name}", f"{median['feed'] * 1e3:.2f} ms", verdict(share, 0.02, at_least=False)])
    return rows


def evaluation_share(rounds: int) -> list[list[str]]:
    """Evaluations of a demo run as a share of its training and evaluation together."""
    experiment = lab.experiment("induction", SETTINGS, n_future=2)
    network, evaluator, step = build(experiment), Evaluator(experiment), stepper(experiment)
    part = next(iter(Feed(experiment)))
    median = medians(interleaved({"evaluation": partial(evaluator, network), "step": partial(step, part)}, rounds))
    points = len(evaluation_points(experiment.steps, experiment.evaluation.every, experiment.evaluation.per_decade))
    evaluating, training = points * median["evaluation"], experiment.steps * median["step"]
    share = evaluating / (evaluating + training)
    return [["evaluation, demo", f"{median['evaluation'] * 1e3:.1f} ms x {points}", verdict(share, 0.15, at_least=False)]]


def start_up(rounds: int) -> list[list[str]]:
    """Seconds until `lab --help` has answered."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([Path(sys.executable).with_name("lab"), "--help"], check=True, capture_output=True, cwd=folder)
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    return [["lab --help", f"{median:.2f} s", verdict(median, 0.5, at_least=False)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = start_up(options.rounds) + lightning_overhead(options.rounds)
    rows += feed_share(3 * options.rounds) + evaluation_share(3 * options.rounds)
    print_table("What surrounds the training step", ["what", "median", "ratio"], rows)


if __name__ == "__main__":
    main()
