from itertools import islice

import numpy as np
import pytest
import torch

from lab.training.feed import Feed
from tests.helpers.tiny import tiny


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (1, 4), (2, 2), (4, 1)])
def test_ranks_and_microbatches_divide_the_global_batch(world: int, accumulate: int) -> None:
    experiment = tiny(grad_accum_steps=accumulate)
    parts = [part for rank in range(world) for part in Feed(experiment, rank=rank, world=world).microbatches(7)]
    whole = experiment.task.batch(experiment.seed, 7, experiment.batch_size, "train")
    np.testing.assert_array_equal(torch.cat([part.inputs.tokens_BS for part in parts]), whole.tokens)
    counts = parts[0].counts_L * world * accumulate
    assert counts.tolist() == [whole.scored[:, 1:].sum(), whole.scored[:, 2:].sum()]
    assert all(torch.equal(part.counts_L, parts[0].counts_L) for part in parts)


def test_the_stream_continues_from_any_step() -> None:
    experiment = tiny(grad_accum_steps=2)
    whole = list(islice(Feed(experiment), 12))
    rest = list(islice(Feed(experiment, first_step=4), 4))
    for one, other in zip(whole[8:], rest, strict=True):
        assert torch.equal(one.inputs.tokens_BS, other.inputs.tokens_BS)


def test_models_that_differ_in_n_see_the_same_tokens() -> None:
    one, two = (next(iter(Feed(tiny(n_future=n)))) for n in (1, 2))
    assert torch.equal(one.inputs.tokens_BS, two.inputs.tokens_BS)


def test_each_epoch_has_every_example_in_another_order() -> None:
    experiment = tiny(examples=10)
    feed = Feed(experiment)
    sequences = np.concatenate([feed.batch(step).tokens for step in range(10)])  # four epochs of ten sequences, across steps
    epochs = [[sequence.tobytes() for sequence in sequences[begin : begin + 10]] for begin in range(0, 40, 10)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len(set(epochs[0])) == 10
    assert epochs[0] != epochs[1]
