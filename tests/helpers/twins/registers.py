"""Registers, one at a time: each is the last token of a sequence of its own."""

import torch
from torch import Tensor

from lab.config.objective_table import register_offsets
from lab.model import Context
from lab.training.module import TrainingModule
from tasks import Batch
from tasks.core.rng import stream
from tests.helpers.twins.common import head_losses


def registers(module: TrainingModule, batch: Batch) -> dict[str, Tensor]:
    network, task, experiment = module.network, module.experiment.task, module.experiment
    matrix_VD, losses = network.unembedding.of_head(1), []
    size, length = batch.tokens.shape
    offsets = register_offsets(length, task.longest_answer, experiment.objective.window)
    drawn = stream("objective/registers", seed=experiment.seed, index=0).integers(offsets.start, offsets.stop, size)
    for b, d in enumerate(drawn.tolist()):
        begin, end = batch.answer[b].tolist() if task.has_answer else (1, length)
        for t in range(begin - 1, end - d):
            if batch.scored[b, t + d]:
                tokens = torch.tensor([[*batch.tokens[b, : t + 1].tolist(), task.vocab_size]])
                context = Context(positions=torch.tensor([*range(t + 1), t + d - 1]))
                log_p = (matrix_VD @ network(tokens, [1], context)[0, 0, -1]).log_softmax(-1)
                losses.append(-log_p[batch.tokens[b, t + d]])
    return head_losses(module, batch) | {"registers": torch.stack(losses).mean()}
