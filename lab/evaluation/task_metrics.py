"""The task's own metrics: of the next-token distribution, and of sampled sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.decoding import Forced, Sampling, complete
from lab.evaluation.batch import SEQUENCES_AT_ONCE
from lab.metrics import Metric
from lab.model import Network
from tasks import Task


@torch.no_grad()
def measure_task(network: Network, task: Task, tokens_BT: Tensor, seed: int) -> dict[str, float]:
    """Compute the metrics of `task.compare` and `task.judge`; none for a task that has neither.

    Args:
        network: In evaluation mode.
        task: The task.
        tokens_BT: (B, T) int64, the held-out sequences, on the network's device.
        seed: Of the sampling: the same network and sequences always give the same values.

    Returns:
        Metrics by name: those of `compare`; `sampled/<name>` of sequences sampled from `sampled_from` on; where the task forces
        tokens, `forced/<name>` of sequences sampled with these imposed, by the same draws.
    """
    values: dict[str, float] = {}
    if task.compares:
        parts = torch.split(tokens_BT, SEQUENCES_AT_ONCE)
        log_probs_BTV = torch.cat([network.logits(part).float().log_softmax(-1) for part in parts])
        values |= task.compare(tokens_BT.cpu().numpy(), log_probs_BTV.cpu().numpy())
    begin = task.sampled_from
    if begin is None:
        return values
    prompt_BP, length = tokens_BT[:, :begin], tokens_BT.shape[1]

    def forced(prefix_BT: Tensor) -> Tensor:
        imposed = task.forced(prefix_BT.cpu().numpy())
        assert imposed is not None, f"{task.name}: forced must not come and go"
        return torch.from_numpy(imposed).to(prefix_BT.device)

    ways: dict[str, Forced | None] = {"sampled": None}
    if task.forced(prompt_BP.cpu().numpy()) is not None:
        ways["forced"] = forced
    for way, imposed in ways.items():
        sampled_BT = complete(network, prompt_BP, length - begin, sampling=Sampling(seed=seed), forced=imposed).tokens_BT
        values |= {str(Metric(f"{way}/{name}")): value for name, value in task.judge(sampled_BT.cpu().numpy()).items()}
    return values
