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
from lab.training.affected import reached
from lab.training.feed import Feed
from lab.training.learning_rate import rate_factor
from lab.training.sharding import gathered, is_sharded, shard, whole_tensor


class TrainingModule(pl.LightningModule):
    """One experiment's network under training.

    Attributes:
        network: The network.
        weights_SN: (S, N) float32, what each prediction head's loss counts in each stage of training.
        totals: What has been seen since the last evaluation, summed: (N + 3,) float32 with each prediction head's loss, the
            gradient's norm before clipping, the number of steps up to which all of these are finite, and the number of parts.
        seen: Tokens and scored tokens seen since the run began, over all devices: (2,) int64, on the CPU.
        diverged: The step, counted from 1, at which a run that is trained here diverged, by its place among them.
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
        self._reached = {heads: reached(self.network, heads) for heads in partly | probed}
        self._compiled: Callable[..., Tensor] | None = None
        self._whole: tuple[Network, ...] = ()  # in a tuple it is no part of what is trained
        self.totals = torch.zeros(experiment.n_future + 3)
        self.seen = torch.zeros(2, dtype=torch.int64)
        self.diverged: dict[int, int] = {}

    def configure_model(self) -> None:
        """With FSDP: spread the weights over the devices."""
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
        """Hidden states (N, B, T, D) for training, compiled if the experiment says so."""
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
        """The stage of training that the present step belongs to."""
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
        """Clip the norm of the whole step's gradient, after accumulation and all-reduce, and note what it was.

        Weights that no trained head reaches are left as they are: without gradient the optimiser neither moves nor decays them.
        """
        trained = self._reached.get(self._stages[self.stage].trained)
        if trained is not None:
            for name, weight in self.network.named_parameters():
                if name not in trained:
                    weight.grad = None
        limit = self.experiment.optimiser.clip_norm or torch.inf
        norms = [self.clip(group, limit) for group in self._clipping_groups()]
        self.totals[..., -3] += norms[0] * self.experiment.grad_accum_steps
        everything = torch.stack([*norms, self.totals[..., :-2].sum(-1)])  # a sum that is not finite stays so
        self.totals[..., -2] += everything.sum(0).isfinite()

    def clip(self, weights: list[Parameter], limit: float) -> Tensor:
        """Scale the gradient of some weights down to a norm; the norm before."""
        return whole_tensor(torch.nn.utils.clip_grad_norm_(weights, limit))

    def _clipping_groups(self) -> list[list[Parameter]]:
        """What is clipped together: everything, but detached heads on their own, or they would shrink head 1's steps."""
        if not self.experiment.objective.detached:
            return [list(self.network.parameters())]
        path, everything = self._reached[(1,)], list(self.network.named_parameters())
        return [[weight for name, weight in everything if (name in path) == inside] for inside in (True, False)]

    def configure_optimizers(self) -> Any:
        """AdamW that decays matrices but not the norms' gains, with the experiment's schedule after every step."""
        settings = self.experiment.optimiser
        matrices = [weight for weight in self.network.parameters() if self.is_matrix(weight)]
        gains = [weight for weight in self.network.parameters() if not self.is_matrix(weight)]
        optimiser = AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": gains, "weight_decay": 0.0}],
            lr=settings.peak_lr,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            fused=True,
        )
        schedule = LambdaLR(optimiser, lambda step: rate_factor(step, self.experiment))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def is_matrix(self, weight: Parameter) -> bool:
        """Whether a weight decays."""
        return weight.ndim > 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {"totals": self._totals_of_all(), "seen": self.seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.totals, self.seen = checkpoint["totals"], checkpoint["seen"].cpu()

    def feed(self, first_step: int, rank: int, world: int) -> Iterable[Any]:
        """The parts that this process trains on, from a step on."""
        return Feed(self.experiment, first_step=first_step, rank=rank, world=world)

    def networks(self) -> Iterator[Network]:
        """What is to be measured, in the order of the runs that are trained here: one, but in a population."""
        yield from self._whole or (self.network,)

    def gather(self) -> None:
        """Before `networks`, on every process: with FSDP collect all weights on the first."""
        if is_sharded(self.network):
            self._whole = gathered(self.network)

    def take_training_metrics(self) -> list[dict[str, float]]:
        """Means since the last call, over all devices, of each run: `train/loss/<i>` in nats, `train/gradient_norm`."""
        totals = self._totals_of_all()
        self.totals = torch.zeros_like(self.totals)
        return [_means(values.tolist()) for values in self.by_run(totals)]

    def by_run(self, totals: Tensor) -> list[Tensor]:
        """The totals of each run that is trained here."""
        return [totals]

    def first_bad_steps(self) -> list[int | None]:
        """For each run the step, counted from 1, of its first loss or gradient that is not finite; None if there was none.

        Looks back to the last evaluation. All processes must ask.
        """
        found: list[int | None] = []
        for *_, finite, parts in (values.tolist() for values in self.by_run(self._totals_of_all())):
            steps = round(parts / self.experiment.grad_accum_steps)
            found.append(self.global_step - steps + int(finite) + 1 if finite < steps else None)
        return found

    def _totals_of_all(self) -> Tensor:
        """The mean of `totals` over all devices, from which each may go on."""
        mean: Tensor = self.trainer.strategy.reduce(self.totals.clone(), reduce_op="mean")  # reduced in place
        return mean


def _means(totals: list[float]) -> dict[str, float]:
    *sums, _, parts = totals
    if not parts:
        return {}
    *losses, norm = (value / parts for value in sums)
    values = {str(Metric("train/loss", head=head)): value for head, value in enumerate(losses, start=1)}
    return values | {str(Metric("train/gradient_norm")): norm}
