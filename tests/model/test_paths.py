import pytest
import torch

from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.model import states
from lab.model.paths import path_layers
from tests.helpers.networks import random_tokens, tiny_network

PATHS = [(kind, head) for kind in ("parallel", "replicated", "causal", "anticausal", "bare") for head in (1, 2, 3)]


@pytest.mark.parametrize(("kind", "head"), [*PATHS, ("sequential", 1), ("residual", 1), ("joint", 1)])
def test_the_state_of_a_head_is_the_sum_of_its_layers(kind: str, head: int) -> None:
    network, tokens_BT = tiny_network(kind), random_tokens()
    names = [f"{layer.name}.{part}" for layer in path_layers(network, head) for part in ("attention", "mlp")]
    found = states(network, tokens_BT, ["embedding", f"prediction.{head}.residual", *names])
    state = found.pop(f"prediction.{head}.residual")
    torch.testing.assert_close(torch.stack(list(found.values())).sum(0), state)


def test_other_heads_are_rejected() -> None:
    known = {*PATHS, ("sequential", 1), ("residual", 1), ("joint", 1)}
    for kind in KINDS:
        for head in (1, 2, 3):
            if (kind, head) not in known:
                with pytest.raises(LabError, match=f"prediction head {head} of kind {kind} is no sum of layers"):
                    path_layers(tiny_network(kind), head)
    with pytest.raises(LabError, match="head must be between 1 and n_future = 3, not 4"):
        path_layers(tiny_network(), 4)
