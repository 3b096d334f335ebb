"""Measures as a user would write them in a module of their own."""

import torch

from lab.evaluation.batch import EvaluationBatch
from lab.model import Network


def effective_rank(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Measure the effective rank of the embedding: the exponential of the entropy of its normalised singular values."""
    values = torch.linalg.svdvals(network.embedding.weight)
    shares = values / values.sum()
    return {f"effective_rank/{batch.task.name}": float((-(shares * shares.log()).sum()).exp())}


def repeated(network: Network, batch: EvaluationBatch) -> dict[str, float]:
    """Return a metric under a name that is taken."""
    return {"loss/all/1": float(batch.step + network.n_future)}


not_a_function = 3
