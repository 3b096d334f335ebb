"""Decoding: a cache against none and against `transformers`, and self-speculation against head 1 alone.

python -m benchmarks.decode --threads 1              speed of untrained networks, minutes
python -m benchmarks.decode --run runs/stories-n4    and self-speculation of a trained one, as `--train` makes it
python -m benchmarks.decode --train runs/stories-n4  train it first: stories, width 128, an hour on one core

The baseline without a cache is what completion did before there was one: a whole pass for each token.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import lab
from benchmarks.steps import make_experiment, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_findings, print_table
from lab.decoding import Completion, Tree, complete, speculate
from lab.evaluation.decode import calibrate
from lab.model import Network, build
from lab.model.convert import to_llama

PROMPT, NEW = 16, 128
BATCHES = (1, 8)
HEADS = 4
STORIES = {
    "task.fresh": 0.5,
    "task.unseen": 0.0,
    "task.first_names": 16,
    "task.second_names": 16,
    "task.names": 86,
    "model.width": 128,
    "model.layers": 8,
    "model.matched": "layers",
    "optimiser.peak_lr": 6e-3,
    "batch_size": 16,
    "steps": 500,
    "evaluation.every": 50,
    "evaluation.examples": 64,
}
"""A next-token path of 8 layers; few names in many pairs, which a small model learns to copy."""


@torch.no_grad()
def complete_without_cache(network: Network, prompt_BP: Tensor, new_tokens: int) -> Tensor:
    """Complete greedily by a whole pass for each token."""
    for _ in range(new_tokens):
        prompt_BP = torch.cat([prompt_BP, network.next_logits(prompt_BP).argmax(-1)[:, None]], dim=1)
    return prompt_BP


def run(rounds: int = 7) -> list[Finding]:
    """Time greedy completion of an untrained network of size 1M."""
    experiment, findings, rows = make_experiment("1M"), [], []
    network = build(experiment).eval()
    llama: Any = to_llama(network)
    for batch in BATCHES:
        prompt_BP = tokens_of(experiment, batch)[:, :PROMPT]

        generate = partial(
            llama.generate,
            prompt_BP,
            attention_mask=torch.ones_like(prompt_BP),
            max_new_tokens=NEW,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        candidates: dict[str, Callable[[], object]] = {
            "no cache": partial(complete_without_cache, network, prompt_BP, NEW),
            "transformers": generate,
            "cache": partial(complete, network, prompt_BP, NEW),
        }
        ours = complete(network, prompt_BP, NEW).tokens_BT
        assert torch.equal(torch.as_tensor(generate()), ours), "the same weights, the same tokens"
        seconds = interleaved(candidates, rounds, warm_up=1)
        rows += [[f"{name}, batch {batch}", f"{1e3 * value / NEW:.3f}"] for name, value in medians(seconds).items()]
        for name, limit in (("no cache", 5.0), ("transformers", 3.0)):
            if (name, batch) != ("transformers", 8):  # the target is of batch 1
                ratio = paired_ratio(seconds, name, "cache")
                findings.append(Finding(f"{name} x cached greedy, 1M, {NEW} new tokens, batch {batch}", ratio, ">=", limit))
    print_table(f"Greedy completion of {NEW} tokens, 1M", ["how", "ms a token"], rows)
    return findings


def speculation(path: str, rounds: int = 7) -> list[Finding]:
    """Time a trained network with `HEADS` heads against head 1 alone."""
    trained, findings, rows = lab.Run(path), [], []
    network, task = trained.model(), trained.experiment.task
    trees = {f"{heads} heads": Tree.chain(heads) for heads in range(2, HEADS + 1)}
    trees |= {f"tree of {nodes}": calibrate(trained, nodes) for nodes in (4, 8, 16)}
    for batch in BATCHES:
        prompt_BP = torch.from_numpy(task.batch(0, 0, batch, "test").tokens[:, :PROMPT])
        new = min(NEW, task.length - PROMPT)
        calls: dict[str, Callable[[], Completion]] = {"alone": partial(complete, network, prompt_BP, new)}
        calls |= {name: partial(speculate, network, prompt_BP, new, tree) for name, tree in trees.items()}
        seconds = interleaved(calls, rounds, warm_up=1)
        for name in calls:
            done = calls[name]()
            speedup = paired_ratio(seconds, "alone", name)
            pass_time = done.tokens_per_forward / speedup
            rows.append([f"{name}, batch {batch}", f"{done.tokens_per_forward:.2f}", f"{speedup:.2f}", f"{pass_time:.2f}"])
            if name == f"{HEADS} heads":
                findings.append(Finding(f"tokens per forward, {name}, batch {batch}", done.tokens_per_forward, ">=", 3.0))
                findings.append(Finding(f"speed-up, {name}, batch {batch}", speedup, ">=", 2.5))
    columns = ["draft", "tokens per forward", "speed-up", "time of a pass x head 1's"]
    print_table("Self-speculation, stories, width 128", columns, rows)
    return findings


def main() -> None:
    """Print what was measured beside the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--run", help="a trained run of stories with 4 prediction heads")
    parser.add_argument("--train", help="where to train one")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.train:
        lab.train(lab.experiment("stories", STORIES, n_future=HEADS, seed=900), options.train)
    findings = run(options.rounds)
    if path := options.run or options.train:
        findings += speculation(path, options.rounds)
    print_findings("Decoding", findings)


if __name__ == "__main__":
    main()
