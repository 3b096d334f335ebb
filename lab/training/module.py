"""The Lightning module: an adapter between the network, the objective and the trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.config import Experiment
from lab.metrics import Metric
from lab.model import Context, Network, build, recorded
from lab.model.unembedding import Matrices
from lab.objectives import (
    Inputs,
    Loss,
    Microbatch,
    States,
    Targets,
    build_extra,
    find_objective,
    matrices_of,
    multi_head_loss,
)
from lab.objectives.schedule import Stage, make_stages, stage_at
from lab.training.affected import affected_parameters
from lab.training.feed import Feed
from lab.training.learning_rate import rate_factor
from lab.training.sharding import gather_network, gather_tensor, is_sharded, shard


class TrainingModule(pl.LightningModule):
    """Train the network of one experiment.

    Attributes:
        network: The network.
        extra: The objective's losses of its own, with their parameters; None if it has none.
        weights_S2L: The weight of each loss at begin and end of each stage of training, (S, 2, L) float32.
        totals: Sums since the last evaluation point, (L + 3,) float32: each loss, the gradient's norm before clipping (if heads
            2..N are detached, that of head 1's parameters), the number of steps whose losses and gradients are finite, and the
            number of microbatches.
        seen: Tokens and scored tokens seen since the run began, over all devices, (2,) int64 on the CPU.
        diverged: The step, counted from 1, at which a run diverged, by its index among the runs of this module.
    """

    weights_S2L: Tensor

    def __init__(self, experiment: Experiment, network: Network | None = None) -> None:
        super().__init__()
        self.objective = find_objective(experiment)  # raises before a run's folder exists
        self.experiment = experiment
        self.network = build(experiment) if network is None else network
        self.extra = build_extra(experiment)
        self.names = experiment.objective.losses(experiment.n_future)
        self._stages = make_stages(experiment)
        weights = torch.tensor([(stage.weights, stage.end) for stage in self._stages])
        self.register_buffer("weights_S2L", weights, persistent=False)
        partly = {heads for stage in self._stages if len(heads := self._trained_heads(stage)) < experiment.n_future}
        probed = {(1,)} if experiment.objective.detached else set()
        self._affected = {heads: affected_parameters(self.network, heads) for heads in partly | probed}
        self._compiled: Callable[..., Tensor] | None = None
        self._whole: tuple[Network, ...] = ()  # a tuple, so that Lightning does not train it
        self.totals = torch.zeros(len(self.names) + 3)
        self.seen = torch.zeros(2, dtype=torch.int64)
        self.diverged: dict[int, int] = {}

    def configure_model(self) -> None:
        """Shard the weights over the devices if the strategy is FSDP."""
        if self.experiment.strategy == "fsdp" and not is_sharded(self.network):
            assert self.device_mesh is not None
            shard(self.network, self.device_mesh["data_parallel"])

    def training_step(self, microbatch: Microbatch, batch_idx: int) -> Tensor:
        with recorded(self.network, self.objective.sites) as sites:
            hidden_NBSD = self.hidden(microbatch.inputs)
        weights_L = self.weights(self.weights_S2L[self.stage])
        loss = self.loss(microbatch, hidden_NBSD, self.network.unembedding.matrices, weights_L)
        if self.extra is not None:
            loss = self.add_extra(loss, microbatch, hidden_NBSD, weights_L, sites)
        self.accumulate(loss.heads_N)
        self.seen += torch.tensor(microbatch.seen)
        return loss.total

    def hidden(self, inputs: Inputs) -> Tensor:
        """Compute the hidden states (N, B, S, D), by a compiled network if the experiment asks for it."""
        tokens_BS, positions_BS, mask_B1SS = inputs
        mode, detached = self.experiment.compile, self.experiment.objective.detached
        context = Context(positions=positions_BS, mask=mask_B1SS, detached=detached)
        if mode == "none":
            states: Tensor = self.network(tokens_BS, context=context)
            return states
        if self._compiled is None:
            torch.compiler.reset()  # earlier runs of this process count towards the limit of recompilations
            self._compiled = torch.compile(self.network.forward, mode=mode)
        if mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return self._compiled(tokens_BS, context=context)

    @property
    def stage(self) -> int:
        """The stage of training of the current step."""
        return stage_at(self._stages, self.global_step)

    def weights(self, ends: Tensor) -> Tensor:
        """Return the weight of each loss in this step, (..., L), from those at begin and end of its stage, (2, ..., L)."""
        begin, end = ends
        weights = torch.lerp(begin, end, self._stages[self.stage].progress(self.global_step))
        return weights / weights.sum(-1, keepdim=True) if self.experiment.objective.normalised else weights

    def loss(self, microbatch: Microbatch, hidden_NBSD: Tensor, unembedding: Matrices, weights_L: Tensor) -> Loss:
        """Compute the weighted cross-entropies of one network's hidden states and unembedding."""
        targets, columns = Targets(*microbatch.targets), self.objective.columns
        count, detached = len(targets.tokens), self.experiment.objective.detached
        hidden_CBTD = hidden_NBSD[:count] if columns is None else columns(hidden_NBSD, targets)
        counts_C, weights_C = microbatch.counts_L[:count], weights_L[:count]
        matrices = matrices_of(unembedding, count)
        return multi_head_loss(hidden_CBTD, matrices, targets, counts_C, weights_N=weights_C, detached=detached)

    def add_extra(
        self, loss: Loss, microbatch: Microbatch, hidden_NBSD: Tensor, weights_L: Tensor, sites: Mapping[str, Tensor]
    ) -> Loss:
        """Add the objective's losses of its own to the cross-entropies of a microbatch."""
        assert self.extra is not None
        assert microbatch.tokens_BT is not None
        assert microbatch.scored_BT is not None
        assert microbatch.present_BT is not None
        matrices, embedding_VD = self.network.unembedding.matrices, self.network.embedding.weight
        own = microbatch.tokens_BT, microbatch.scored_BT, microbatch.present_BT
        states = States(hidden_NBSD, matrices, embedding_VD, *own, sites)
        count = len(loss.heads_N)
        means_E = self.extra(states) * microbatch.counts_L[count:].reciprocal().nan_to_num(posinf=0.0)
        return Loss(loss.total + (means_E * weights_L[count:]).sum(), torch.cat([loss.heads_N, means_E.detach()]))

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
        stage = self._stages[self.stage]
        trained = self._affected.get(self._trained_heads(stage))
        if trained is not None:
            for name, weight in self.network.named_parameters():
                if name not in trained:
                    weight.grad = None
        if self.extra is not None and all(self.names[number - 1].isdigit() for number in stage.trained):
            self.extra.zero_grad()
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
            return [self._trainable()]
        affected, parameters = self._affected[(1,)], list(self.network.named_parameters())
        groups = [[weight for name, weight in parameters if (name in affected) == inside] for inside in (True, False)]
        return [group for group in groups if group]  # detached heads may have no weights of their own

    def configure_optimizers(self) -> Any:
        """Build AdamW, which decays matrices but not norm weights, and the schedule of the learning rate."""
        settings = self.experiment.optimiser
        matrices = [weight for weight in self._trainable() if self.is_matrix(weight)]
        norm_weights = [weight for weight in self._trainable() if not self.is_matrix(weight)]
        optimiser = AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": norm_weights, "weight_decay": 0.0}],
            lr=settings.peak_lr,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            fused=True,
        )
        schedule = LambdaLR(optimiser, lambda step: rate_factor(step, self.experiment))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _trainable(self) -> list[Parameter]:
        """Return the parameters of the network, then those of the objective's own modules."""
        return [*self.network.parameters(), *(() if self.extra is None else self.extra.parameters())]

    def _trained_heads(self, stage: Stage) -> tuple[int, ...]:
        """Return the prediction heads, counted from 1, that the losses with weight in a stage compute with."""
        names = [self.names[number - 1] for number in stage.trained]
        return tuple(sorted({int(name) if name.isdigit() else 1 for name in names}))

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
        """Return each run's means since the last call, over all devices: each loss in nats, and `train/gradient_norm`."""
        totals = self._totals_of_all()
        self.totals = torch.zeros_like(self.totals)
        return [_means(values.tolist(), self.names) for values in self.by_run(totals)]

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


def _means(totals: list[float], names: Sequence[str]) -> dict[str, float]:
    """Divide the sums of one run by its number of microbatches; an empty dict without any."""
    *sums, _, microbatches = totals
    if not microbatches:
        return {}
    *losses, norm = (value / microbatches for value in sums)
    metrics = [Metric("train/loss", head=int(name)) if name.isdigit() else Metric(f"train/extra/{name}") for name in names]
    values = {str(metric): value for metric, value in zip(metrics, losses, strict=False)}
    return values | {str(Metric("train/gradient_norm")): norm}
