import torch

from lab.objectives import IGNORE, future_targets


def test_targets_are_the_next_tokens_up_to_the_end() -> None:
    tokens_BT = torch.tensor([[5, 6, 7, 8]])
    targets = future_targets(tokens_BT, torch.ones(1, 4, dtype=torch.bool), 3)
    x = IGNORE
    assert targets.tolist() == [[[6, 7, 8, x]], [[7, 8, x, x]], [[8, x, x, x]]]


def test_tokens_that_are_not_scored_are_no_targets() -> None:
    tokens_BT = torch.tensor([[5, 6, 7, 8]])
    scored_BT = torch.tensor([[True, False, True, False]])
    x = IGNORE
    assert future_targets(tokens_BT, scored_BT, 2).tolist() == [[[x, 7, x, x]], [[7, x, x, x]]]
