"""nnsight and TransformerLens measure in an export what our instruments measure in the run, as in docs/transformers.md."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lab
from lab.model import Network
from lab.model.sites import edited, states
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.filterwarnings("ignore")
LAYER, POSITION = 1, 4
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Network, Path]:
    run = make_run(tmp_path / "run", tiny(model__layers=5), weights=True)
    return run.model(), lab.export(run, tmp_path / "hf")


def two_sequences() -> tuple[Tensor, Tensor]:
    first, second = torch.from_numpy(tiny().task.batch(1, 0, 2, "test").tokens)[:, None]
    return first, second


@torch.no_grad()
def pattern_and_patched_logits(network: Network) -> tuple[Tensor, Tensor]:
    """Return the attention pattern of a layer on a sequence, and logits with an MLP's output patched at a position."""
    clean, other = two_sequences()
    pattern, mlp = f"trunk.{LAYER}.attention.pattern", f"trunk.{LAYER}.mlp"
    taken = states(network, other, [mlp])[mlp]

    def patch(output: Tensor) -> Tensor:
        output = output.clone()
        output[:, POSITION] = taken[:, POSITION]
        return output

    with edited(network, {mlp: patch}):
        logits = network.logits(clean)
    assert (logits - network.logits(clean)).abs().max() > 1e-3, "the patch changes the logits"
    return states(network, clean, [pattern])[pattern], logits


@torch.no_grad()
def test_nnsight_agrees(exported: tuple[Network, Path]) -> None:
    NNsight = pytest.importorskip("nnsight").NNsight
    transformers = pytest.importorskip("transformers")
    network, folder = exported
    model = NNsight(transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager"))
    clean, other = two_sequences()
    with model.trace(clean):
        pattern = model.model.layers[LAYER].self_attn.output[1].save()
    with model.trace(other):
        taken = model.model.layers[LAYER].mlp.output[:, POSITION].clone().save()
    with model.trace(clean):
        model.model.layers[LAYER].mlp.output[:, POSITION] = taken
        logits = model.lm_head.output.save()
    expected_pattern, expected_logits = pattern_and_patched_logits(network)
    torch.testing.assert_close(pattern, expected_pattern, **CLOSE)
    torch.testing.assert_close(logits, expected_logits, **CLOSE)


@torch.no_grad()
def test_transformer_lens_agrees(exported: tuple[Network, Path]) -> None:
    TransformerBridge = pytest.importorskip("transformer_lens.model_bridge").TransformerBridge
    network, folder = exported
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    clean, other = two_sequences()
    _, cache = bridge.run_with_cache(clean)
    _, taken = bridge.run_with_cache(other)

    def patch(output: Tensor, hook: object) -> Tensor:
        output[:, POSITION] = taken["mlp_out", LAYER][:, POSITION]
        return output

    logits = bridge.run_with_hooks(clean, fwd_hooks=[(f"blocks.{LAYER}.hook_mlp_out", patch)])
    expected_pattern, expected_logits = pattern_and_patched_logits(network)
    torch.testing.assert_close(cache["pattern", LAYER], expected_pattern, **CLOSE)
    torch.testing.assert_close(logits, expected_logits, **CLOSE)
