"""The Lightning module: an adapter between the network, the objective and the trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.config import Experiment
from lab.metrics import Metric
from lab.model import Context, Network, build
from lab.model.unembedding import Matrices
from lab.objectives import Loss, Microbatch, Targets, find_objective, multi_head_loss
from lab.objectives.schedule import make_stages, stage_at
from lab.training.affected import affected_parameters
from lab.training.feed import Feed
from lab.training.learning_rate import rate_factor
from lab.training.sharding import gather_network, gather_tensor, is_sharded, shard


class TrainingModule(pl.LightningModule):
    """Train the network of one experiment.

    Attributes:
        network: The network.
        weights_SN: The weight of each prediction head's loss in each stage of training, (S, N) float32.
        totals: Sums since the last evaluation point, (N + 3,) float32: each prediction head's loss, the gradient's norm before
            clipping, the number of steps whose losses and gradients are finite, and the number of microbatches.
        seen: Tokens and scored tokens seen since the run began, over all devices, (2,) int64 on the CPU.
        diverged: The step, counted from 1, at which a run diverged, by its index among the runs of this module.
    """

    weights_SN: Tensor

    def __init__(self, experiment: Experiment, network: Network | None = None) -> None:
        super().__init__()
        find_objective(experiment)  # raises before a run's folder exists
        self.experiment = experiment
        self.network = build(experiment) if network is None else network
        self._stages = make_stages(experiment)
        self.register_buffer("weights_SN", torch.tensor([stage.weights for stage in self._stages]), persistent=False)
        partly = {stage.trained for stage in self._stages if len(stage.trained) < experiment.n_future}
        probed = {(1,)} if experiment.objective.detached else set()
        self._affected = {heads: affected_parameters(self.network, heads) for heads in partly | probed}
        self._compiled: Callable[..., Tensor] | None = None
        self._whole: tuple[Network, ...] = ()  # a tuple, so that Lightning does not train it
        self.totals = torch.zeros(experiment.n_future + 3)
        self.seen = torch.zeros(2, dtype=torch.int64)
        self.diverged: dict[int, int] = {}

    def configure_model(self) -> None:
        """Shard the weights over the devices if the strategy is FSDP."""
        if self.experiment.strategy == "fsdp" and not is_sharded(self.network):
            assert self.device_mesh is not None
            shard(self.network, self.device_mesh["data_parallel"])

    def training_step(self, microbatch: Microbatch, batch_idx: int) -> Tensor:
        hidden_NBTD, matrices = self.hidden(microbatch.inputs_BT), self.network.unembedding.matrices
        loss = self.loss(microbatch, hidden_NBTD, matrices, self.weights_SN[self.stage])
        self.accumulate(loss.heads_N)
        self.seen += torch.tensor(microbatch.seen)
        return loss.total

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Compute the hidden states (N, B, T, D), by a compiled network if the experiment asks for it."""
        mode, context = self.experiment.compile, Context(detached=self.experiment.objective.detached)
        if mode == "none":
            states: Tensor = self.network(tokens_BT, context=context)
            return states
        if self._compiled is None:
            self._compiled = torch.compile(self.network.forward, mode=mode)
        if mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return self._compiled(tokens_BT, context=context)

    @property
    def stage(self) -> int:
        """The stage of training of the current step."""
        return stage_at(self._stages, self.global_step)

    def loss(self, microbatch: Microbatch, hidden_NBTD: Tensor, unembedding: Matrices, weights_N: Tensor) -> Loss:
        """Compute the objective of one network's hidden states and unembedding."""
        targets, counts_N = Targets(*microbatch.targets), microbatch.counts_N
        detached = self.experiment.objective.detached
        return multi_head_loss(hidden_NBTD, unembedding, targets, counts_N, weights_N=weights_N, detached=detached)

    def accumulate(self, heads: Tensor) -> None:
        """Add the losses of a microbatch to the totals."""
        self.totals = self.totals.to(self.device)
        self.totals[..., :-3] += heads
        self.totals[..., -1] += 1

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm of the step's gradient, after accumulation and all-reduce; the totals keep the norm before clipping.

        Parameters that no trained head affects stay: without a gradient the optimiser neither moves nor decays them.
        """
        trained = self._affected.get(self._stages[self.stage].trained)
        if trained is not None:
            for name, weight in self.network.named_parameters():
                if name not in trained:
                    weight.grad = None
        limit = self.experiment.optimiser.clip_norm or torch.inf
        norms = [self.clip(group, limit) for group in self._clipping_groups()]
        self.totals[..., -3] += norms[0] * self.experiment.grad_accum_steps
        everything = torch.stack([*norms, self.totals[..., :-2].sum(-1)])  # one value that is not finite makes the sum so
        self.totals[..., -2] += everything.sum(0).isfinite()

    def clip(self, weights: list[Parameter], limit: float) -> Tensor:
        """Clip the gradient of some parameters to a norm and return the norm before clipping."""
        return gather_tensor(torch.nn.utils.clip_grad_norm_(weights, limit))

    def _clipping_groups(self) -> list[list[Parameter]]:
        """Return the groups of parameters to clip: one, or two if detached heads must not shrink the steps of head 1."""
        if not self.experiment.objective.detached:
            return [list(self.network.parameters())]
        affected, parameters = self._affected[(1,)], list(self.network.named_parameters())
        return [[weight for name, weight in parameters if (name in affected) == inside] for inside in (True, False)]

    def configure_optimizers(self) -> Any:
        """Build AdamW, which decays matrices but not norm weights, and the schedule of the learning rate."""
        settings = self.experiment.optimiser
        matrices = [weight for weight in self.network.parameters() if self.is_matrix(weight)]
        norm_weights = [weight for weight in self.network.parameters() if not self.is_matrix(weight)]
        optimiser = AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": norm_weights, "weight_decay": 0.0}],
            lr=settings.peak_lr,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            fused=True,
        )
        schedule = LambdaLR(optimiser, lambda step: rate_factor(step, self.experiment))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def is_matrix(self, weight: Parameter) -> bool:
        """Return whether a parameter is a matrix, which weight decay applies to."""
        return weight.ndim > 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {"totals": self._totals_of_all(), "seen": self.seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.totals, self.seen = checkpoint["totals"], checkpoint["seen"].cpu()

    def feed(self, first_step: int, rank: int, world: int) -> Iterable[Any]:
        """Return the stream of microbatches of this process from a step on."""
        return Feed(self.experiment, first_step=first_step, rank=rank, world=world)

    def networks(self) -> Iterator[Network]:
        """Yield the network of each run of this module, in order: one, or those of an ensemble."""
        yield from self._whole or (self.network,)

    def gather(self) -> None:
        """Gather sharded weights on the first process; every process must call it before `networks`."""
        if is_sharded(self.network):
            self._whole = gather_network(self.network)

    def take_training_metrics(self) -> list[dict[str, float]]:
        """Return each run's means since the last call, over all devices: `train/loss/<i>` in nats, `train/gradient_norm`."""
        totals = self._totals_of_all()
        self.totals = torch.zeros_like(self.totals)
        return [_means(values.tolist()) for values in self.by_run(totals)]

    def by_run(self, totals: Tensor) -> list[Tensor]:
        """Split the totals by run."""
        return [totals]

    def first_bad_steps(self) -> list[int | None]:
        """Find the step, counted from 1, of each run's first loss or gradient that is not finite; None if all are finite.

        The search covers the steps since the last evaluation point. Every process must call it.
        """
        found: list[int | None] = []
        for *_, finite, microbatches in (values.tolist() for values in self.by_run(self._totals_of_all())):
            steps = round(microbatches / self.experiment.grad_accum_steps)
            found.append(self.global_step - steps + int(finite) + 1 if finite < steps else None)
        return found

    def _totals_of_all(self) -> Tensor:
        """Return the mean of `totals` over all devices."""
        mean: Tensor = self.trainer.strategy.reduce(self.totals.clone(), reduce_op="mean")  # reduced in place
        return mean


def _means(totals: list[float]) -> dict[str, float]:
    """Divide the sums of one run by its number of microbatches; an empty dict without any."""
    *sums, _, microbatches = totals
    if not microbatches:
        return {}
    *losses, norm = (value / microbatches for value in sums)
    values = {str(Metric("train/loss", head=head)): value for head, value in enumerate(losses, start=1)}
    return values | {str(Metric("train/gradient_norm")): norm}
