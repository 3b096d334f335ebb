"""The hand-built network works as constructed: other tests rely on its circuit."""

import math

import pytest
import torch
from torch.nn import functional as F

from lab.interp.attention_scores import attention_scores, repeated_probe
from lab.model import edited, states
from tests.helpers.induction_network import INDUCTION, PREVIOUS, induction_network


@pytest.mark.parametrize("vocabulary", [6, 12, 32])
@pytest.mark.parametrize("n_future", [1, 2])
def test_the_network_copies_repeated_random_tokens(vocabulary: int, n_future: int) -> None:
    network = induction_network(vocabulary, n_future)
    probe_BT = repeated_probe(vocabulary, 16, vocabulary, seed=0)
    for head in range(1, n_future + 1):
        logits_BTV, targets_BT = network.logits(probe_BT, head)[:, vocabulary:-head], probe_BT[:, vocabulary + head :]
        assert (logits_BTV.argmax(-1) == targets_BT).all()
        assert F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten()) < 1e-3


def test_the_two_attention_heads_attend_as_constructed() -> None:
    network, probe_BT = induction_network(), repeated_probe(12, 16, 12, seed=1)
    patterns = states(network, probe_BT, ["trunk.0.attention.pattern"])["trunk.0.attention.pattern"]
    assert patterns[:, PREVIOUS].diagonal(-1, 1, 2).min() > 0.999
    scores = {(score.part, score.layer, score.attention_head): score for score in attention_scores(network, probe_BT)}
    assert scores["trunk", 1, INDUCTION].prefix_matching > 0.999
    assert all(
        score.copying == 0 for key, score in scores.items() if key not in {("trunk", 0, PREVIOUS), ("trunk", 1, INDUCTION)}
    )


def test_without_the_induction_head_predictions_are_uniform() -> None:
    network, probe_BT = induction_network(), repeated_probe(12, 4, 12, seed=2)
    with edited(network, {"trunk.1.attention": torch.zeros_like}):
        log_probs = network.logits(probe_BT).log_softmax(-1)
    torch.testing.assert_close(log_probs, torch.full_like(log_probs, -math.log(12)))
