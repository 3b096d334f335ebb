"""Time decoding with a cache, without one and with `transformers`, and self-speculation against head 1 alone.

    python -m benchmarks.decode --threads 1              speed of untrained networks, minutes
    python -m benchmarks.decode --run runs/stories-n4    also self-speculation of a trained network
    python -m benchmarks.decode --train runs/stories-n4  train that network first: stories, width 128, an hour on one core

Without a cache each token takes a pass over the whole sequence. Shapes: B sequences, P tokens of a prompt, T of a completion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import lab
from benchmarks.options import make_parser
from benchmarks.steps import make_experiment, tokens_of
from benchmarks.timing import Finding, interleaved, medians, paired_ratio, print_findings, print_table
from lab.decoding import Completion, Tree, complete, speculate
from lab.evaluation.decode import calibrate
from lab.model import Network, build
from lab.model.convert import to_llama

PROMPT_TOKENS, NEW_TOKENS = 16, 128
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
"""Settings of the trained network: 8 layers on the next-token path; few name tokens in many pairs, which it learns to copy."""


@torch.no_grad()
def complete_without_cache(network: Network, prompt_BP: Tensor, new_tokens: int) -> Tensor:
    """Complete prompts greedily with a pass over the whole sequence for each token.

    Returns:
        Prompts and new tokens, (B, P + new_tokens).
    """
    for _ in range(new_tokens):
        prompt_BP = torch.cat([prompt_BP, network.next_logits(prompt_BP).argmax(-1)[:, None]], dim=1)
    return prompt_BP


def run(rounds: int = 7) -> list[Finding]:
    """Time greedy completion with an untrained network of size 1M, and return ratios to the time with a cache."""
    experiment, findings, rows = make_experiment("1M"), [], []
    network = build(experiment).eval()
    llama: Any = to_llama(network)
    for batch in BATCHES:
        prompt_BP = tokens_of(experiment, batch)[:, :PROMPT_TOKENS]
        generate = partial(
            llama.generate,
            prompt_BP,
            attention_mask=torch.ones_like(prompt_BP),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        candidates: dict[str, Callable[[], object]] = {
            "no cache": partial(complete_without_cache, network, prompt_BP, NEW_TOKENS),
            "transformers": generate,
            "cache": partial(complete, network, prompt_BP, NEW_TOKENS),
        }
        ours_BT = complete(network, prompt_BP, NEW_TOKENS).tokens_BT
        assert torch.equal(torch.as_tensor(generate()), ours_BT), "equal weights must give equal tokens"
        seconds = interleaved(candidates, rounds, warm_up=1)
        rows += [[f"{name}, batch {batch}", f"{1e3 * value / NEW_TOKENS:.3f}"] for name, value in medians(seconds).items()]
        for name, target in (("no cache", 5.0), ("transformers", 3.0)):
            if (name, batch) != ("transformers", 8):  # which has a target for batch 1 only
                ratio = paired_ratio(seconds, name, "cache")
                what = f"time of greedy completion, {name} / cache, 1M, {NEW_TOKENS} new tokens, batch {batch}"
                findings.append(Finding(what, ratio, ">=", target))
    print_table(f"Greedy completion of {NEW_TOKENS} tokens, 1M", ["method", "ms a token"], rows)
    return findings


def time_speculation(path: str, rounds: int = 7) -> list[Finding]:
    """Time self-speculation against greedy completion by head 1 alone.

    Args:
        path: A run of a network with `HEADS` prediction heads.
        rounds: Number of timed completions of each kind.

    Returns:
        Tokens per forward pass and speed-up of drafts by all heads, for each batch size.
    """
    trained_run, findings, rows = lab.Run(path), [], []
    network, task = trained_run.model(), trained_run.experiment.task
    trees = {f"{heads} heads": Tree.chain(heads) for heads in range(2, HEADS + 1)}
    trees |= {f"tree of {nodes}": calibrate(trained_run, nodes) for nodes in (4, 8, 16)}
    for batch in BATCHES:
        prompt_BP = torch.from_numpy(task.batch(0, 0, batch, "test").tokens[:, :PROMPT_TOKENS])
        new_tokens = min(NEW_TOKENS, task.length - PROMPT_TOKENS)
        candidates: dict[str, Callable[[], Completion]] = {"head 1 alone": partial(complete, network, prompt_BP, new_tokens)}
        candidates |= {name: partial(speculate, network, prompt_BP, new_tokens, tree) for name, tree in trees.items()}
        seconds = interleaved(candidates, rounds, warm_up=1)
        for name in candidates:
            tokens_per_forward = candidates[name]().tokens_per_forward
            speedup = paired_ratio(seconds, "head 1 alone", name)
            pass_ratio = tokens_per_forward / speedup
            rows.append([f"{name}, batch {batch}", f"{tokens_per_forward:.2f}", f"{speedup:.2f}", f"{pass_ratio:.2f}"])
            if name == f"{HEADS} heads":
                findings.append(Finding(f"tokens per forward, {name}, batch {batch}", tokens_per_forward, ">=", 3.0))
                findings.append(Finding(f"speed-up, {name}, batch {batch}", speedup, ">=", 2.5))
    columns = ["draft", "tokens per forward", "speed-up", "time of a pass / head 1's"]
    print_table("Self-speculation, stories, width 128", columns, rows)
    return findings


def main() -> None:
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("--run", help="a run of stories with 4 prediction heads, to time self-speculation")
    parser.add_argument("--train", help="train such a run in this folder first")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.train:
        lab.train(lab.experiment("stories", STORIES, n_future=HEADS, seed=900), options.train)
    findings = run(options.rounds)
    if path := options.run or options.train:
        findings += time_speculation(path, options.rounds)
    print_findings("Decoding", findings)


if __name__ == "__main__":
    main()
