"""No code assumes a CPU: every kind of network runs on the meta device, which rejects tensors of the CPU.

With a GPU the networks run there too. Fake CUDA tensors are no alternative: torch built for CPUs cannot index them.
"""

import pytest
import torch
from torch import Tensor

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.decoding import Sampling, complete
from lab.errors import LabError
from lab.model import Network, NetworkSpec
from lab.objectives import Targets, future_targets, multi_head_loss, score_predictions
from lab.training.devices import check_accelerator

MLPS = ("swiglu", "gelu")
DEVICES = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]


def experiment_of(kind: str, mlp: str = "swiglu") -> Experiment:
    settings = {
        "model.width": 16, "model.layers": 6, "model.n_heads": 2, "model.heads": kind, "model.mlp": mlp,
        "task.vocabulary": 12, "task.length": 12, "task.period": [3, 5], "task.test_period": None,
    }  # fmt: skip
    return lab.experiment("induction", settings, n_future=3)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


def network_on(device: torch.device, experiment: Experiment) -> Network:
    with device:
        return Network(NetworkSpec.of(experiment))


def data_on(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return tokens (B, T) and targets (N, B, T)."""
    tokens_BT = torch.zeros(2, 12, dtype=torch.int64, device=device)
    return tokens_BT, future_targets(tokens_BT, torch.ones_like(tokens_BT, dtype=torch.bool), 3)


@pytest.mark.parametrize("accelerator", ["auto", "cuda"])
def test_more_devices_than_gpus_are_rejected(monkeypatch: pytest.MonkeyPatch, accelerator: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    experiment = lab.experiment("induction", accelerator=accelerator, devices=2)
    with pytest.raises(LabError, match="devices must be at most 1, the GPUs of this machine, not 2"):
        check_accelerator(experiment)


@pytest.mark.parametrize("mlp", MLPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_stays_on_its_device(device: torch.device, kind: str, mlp: str) -> None:
    network = network_on(device, experiment_of(kind, mlp))
    tokens_BT, targets_NBT = data_on(device)
    targets = Targets(targets_NBT)
    hidden_NBTD = network(tokens_BT)
    loss = multi_head_loss(hidden_NBTD, network.unembedding.weight, targets, targets.per_head())
    loss.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=False)
    torch.optim.AdamW(network.parameters()).step()
    assert hidden_NBTD.shape == (3, 2, 12, 16)
    assert loss.total.device.type == loss.heads_N.device.type == device.type
    assert all(weight.grad is not None and weight.grad.device.type == device.type for weight in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_of_evaluation_stay_on_their_device(device: torch.device, kind: str) -> None:
    network = network_on(device, experiment_of(kind)).eval()
    tokens_BT, targets_NBT = data_on(device)
    losses_NBT, hits_NBT = score_predictions(network(tokens_BT), network.unembedding.weight, targets_NBT)
    assert losses_NBT.shape == hits_NBT.shape == (3, 2, 12)
    assert losses_NBT.device.type == hits_NBT.device.type == device.type


@pytest.mark.parametrize("sampling", [None, Sampling()])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["cpu", *DEVICES[1:]])  # decoding reads token values, which the meta device lacks
def test_decoding_stays_on_its_device(name: str, kind: str, sampling: Sampling | None) -> None:
    device = torch.device(name)
    network = network_on(device, experiment_of(kind)).eval()
    completed_BT = complete(network, torch.zeros(2, 5, dtype=torch.int64, device=device), 3, sampling=sampling).tokens_BT
    assert completed_BT.shape == (2, 8)
    assert completed_BT.device.type == device.type
