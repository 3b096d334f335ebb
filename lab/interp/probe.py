"""Linear probes of the residual stream for latents of the task and coming tokens.

N sequences, T positions, D width, K numbers of a vector, M states (one sequence and position each).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lab.errors import LabError, check_count
from lab.interp.linear import Spectrum, accuracy, decompose, fit_discriminant, fit_ridge, r_squared
from lab.interp.residual import residual_sites
from lab.interp.sequences import Sequences, before_scored, draw_sequences
from lab.model import Network, states
from tasks import Batch, Task
from tasks.errors import nearest

COLUMNS = ["site", "layer", "position", "role", "target", "score", "control", "value"]
_FEWEST = 8
"""States, of each split, in which a target has to be known."""
_CHUNK = 256
"""Sequences in a forward pass."""

Values = NDArray[Any]
"""Classes int64, -1 where unknown, or vectors float64 along a further axis, nan where unknown."""


@dataclass(frozen=True, eq=False)
class _Split:
    """Sequences of one split.

    Attributes:
        next_roles_NT: Role of each next token; 0 for none.
        next_scored_NT: Whether the next token is a scored target.
        targets: By name.
        states: Of the network ("none") and of the untrained network by control and site, (N, T, D).
    """

    next_roles_NT: NDArray[np.int64]
    next_scored_NT: NDArray[np.bool_]
    targets: dict[str, Values]
    states: dict[str, dict[str, NDArray[np.floating]]]


class _Pool(NamedTuple):
    """Positions whose states are probed together, with their reported `position` and role; role 0 stands for any."""

    position: int | str
    positions: list[int]
    role: int


class _Target(NamedTuple):
    """A target in the M states of a pool: its values for the fit, the same shuffled, and its values for the score."""

    name: str
    fitted: Values
    shuffled: Values
    scored: Values

    @property
    def is_class(self) -> bool:
        return bool(self.fitted.ndim == 1)

    def score(self, spectrum: Spectrum, fitted: Values, scored_MD: NDArray[np.floating]) -> float:
        """Fit a probe and return its accuracy or R^2 on other states."""
        if self.is_class:
            return accuracy(fit_discriminant(spectrum, fitted, int(fitted.max()) + 1), scored_MD, self.scored)
        return r_squared(fit_ridge(spectrum, fitted), scored_MD, self.scored)


@torch.no_grad()
def probe(
    network: Network,
    task: Task,
    *,
    targets: str = "",
    ahead: int = 2,
    positions: str = "",
    pool: Literal["position", "role", "scored"] = "position",
    sequences: int = 1024,
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Measure linear probes of the residual stream for latents of the task and the next tokens, with controls.

    A probe is fitted on sequences of the split `train` and scored on others: the accuracy of a linear discriminant for classes,
    R^2 of a ridge regression for vectors (`lab.interp.linear`). Prediction heads that read later tokens (those of the kinds
    `sequential` and `joint`, from the second on) are left out.

    Args:
        network: Any network.
        task: Its task.
        targets: Targets of probes, separated by commas: latents of the task, `token t+1`, `token t+2`, ...; by default all.
        ahead: Next tokens that are probed for.
        positions: Numbers of positions from 0, separated by commas; by default all.
        pool: Fit a probe for each position, one for all positions before a token of the same role, or one for all positions
            before a scored token.
        sequences: Number of sequences to fit on, and of others to score.
        split: Split that is scored: validation or test.
        seed: Of the sequences, the shuffled labels and the untrained network.

    Returns:
        `site`, `layer` (its depth, see `lab.interp.residual`), `position` (of the state; `all` if pooled), `role` (of the next
        token; "" where several are), `target`, `score` (`accuracy` or `R2`), `control` and `value`. The control is `none`
        for the network itself, `shuffled labels` (in the fit), `untrained network` (initial weights of the same spec), or
        `majority`: the most frequent class of the fit, or its mean vector.

    Raises:
        LabError: For an unknown target, position or pool, a negative `ahead`, no sequences, the split `train`, or if no target
            is known in 8 states of each split.
        TaskError: For a wrong split or seed.
    """
    if split == "train":
        raise LabError("split must be validation or test, not 'train': probes are fitted on it")
    ahead = check_count("ahead", ahead, least=0)
    if pool not in ("position", "role", "scored"):
        raise LabError(f"pool must be position, role or scored, not {pool!r}")
    forced = network.spec.kind.teacher_forced
    sites = {
        site: layer
        for site, layer in residual_sites(network).items()
        if not forced or not site.startswith("prediction.") or site == "prediction.1.residual"
    }
    numbers = _numbers(positions, task.length)
    drawn = [draw_sequences(network, task, sequences, each, seed) for each in ("train", split)]
    names = _chosen(targets, probe_targets(task, drawn[0].batch, ahead))
    networks = {"none": network, "untrained network": untrained(network, seed)}
    fit, scored = (_read_split(networks, each, task, sites, ahead) for each in drawn)
    rng, rows = np.random.default_rng(seed), list[tuple[Any, ...]]()
    for pooled in _pools(fit, task, numbers, pool):
        role = task.roles[pooled.role] if pooled.role else ""
        for of_fit_NT, of_scored_NT, group in _known_together(pooled, fit, scored, names, rng):
            for site, layer in sites.items():
                scores = _probe_site(fit, scored, site, of_fit_NT, of_scored_NT, group)
                rows += [(site, layer, pooled.position, role, *each) for each in scores]
    if not rows:
        raise LabError(f"sequences must be larger than {sequences}: no target is known in {_FEWEST} states of each split")
    return pd.DataFrame(rows, columns=COLUMNS).dropna(subset="value", ignore_index=True)


def untrained(network: Network, seed: int = 0) -> Network:
    """Return a network of the same spec, dtype and device with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(network.spec).to(network.embedding.weight).eval()


def probe_targets(task: Task, batch: Batch, ahead: int) -> dict[str, Values]:
    """Return the targets of probes at each position: the task's latents, and the tokens 1 to `ahead` later.

    Returns:
        By name: classes (N, T) int64, -1 where unknown, or vectors (N, T, K) float64, nan where unknown.
    """
    found: dict[str, Values] = {str(name): values for name, values in task.latents(batch).items()}
    tokens_NT = np.where(batch.roles != 0, batch.tokens, -1)
    for distance in range(1, min(ahead, task.length - 1) + 1):
        found[f"token t+{distance}"] = np.pad(tokens_NT[:, distance:], ((0, 0), (0, distance)), constant_values=-1)
    return found


def _read_split(networks: dict[str, Network], drawn: Sequences, task: Task, sites: Iterable[str], ahead: int) -> _Split:
    next_roles_NT = np.pad(drawn.batch.roles[:, 1:].astype(np.int64), ((0, 0), (0, 1)))
    found: dict[str, dict[str, NDArray[np.floating]]] = {}
    for control, network in networks.items():
        chunks = [states(network, part_NT, sites) for part_NT in torch.split(drawn.inputs_BT, _CHUNK)]
        found[control] = {site: torch.cat([chunk[site].float().cpu() for chunk in chunks]).numpy() for site in sites}
    next_scored_NT = before_scored(drawn.scored_BT).cpu().numpy()
    return _Split(next_roles_NT, next_scored_NT, probe_targets(task, drawn.batch, ahead), found)


def _chosen(targets: str, known: Iterable[str]) -> list[str]:
    """Read the names of targets from a list with commas; all that are known if it is empty."""
    names = list(dict.fromkeys(name.strip() for name in targets.split(",") if name.strip())) or list(known)
    for name in names:
        if name not in known:
            raise LabError(f"targets has no {name!r}; {nearest(name, known)}")
    return names


def _numbers(positions: str, length: int) -> list[int]:
    """Read positions from a list with commas; all if it is empty."""
    words = [word.strip() for word in positions.split(",") if word.strip()]
    if not all(word.isdecimal() and int(word) < length for word in words):
        raise LabError(f"positions must be numbers from 0 to {length - 1}, separated by commas, not {positions!r}")
    return list(dict.fromkeys(map(int, words))) or list(range(length))


def _pools(fit: _Split, task: Task, numbers: list[int], pool: str) -> list[_Pool]:
    if pool == "role":
        return [_Pool("all", numbers, role) for role in range(1, len(task.roles))]
    if pool == "scored":
        return [_Pool("all", numbers, 0)]
    same = (fit.next_roles_NT == fit.next_roles_NT[0]).all(axis=0)
    return [_Pool(each, [each], int(fit.next_roles_NT[0, each]) if same[each] else 0) for each in numbers]


def _known_together(
    pooled: _Pool, fit: _Split, scored: _Split, names: Iterable[str], rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_], list[_Target]]]:
    """Group the targets that are known in the same states of a pool.

    Yields:
        (N, T) bool, the states of the fit; (N, T) bool, those that are scored; the targets in them.
    """
    groups: dict[bytes, tuple[NDArray[np.bool_], NDArray[np.bool_], list[_Target]]] = {}
    for name in names:
        of_fit_NT, of_scored_NT = (_known(pooled, split, name) for split in (fit, scored))
        if min(of_fit_NT.sum(), of_scored_NT.sum()) >= _FEWEST:
            fitted = fit.targets[name][of_fit_NT]
            target = _Target(name, fitted, rng.permutation(fitted), scored.targets[name][of_scored_NT])
            key = np.packbits([of_fit_NT, of_scored_NT]).tobytes()
            groups.setdefault(key, (of_fit_NT, of_scored_NT, []))[2].append(target)
    yield from groups.values()


def _known(pooled: _Pool, split: _Split, name: str) -> NDArray[np.bool_]:
    values = split.targets[name]
    known_NT = values >= 0 if values.ndim == 2 else np.isfinite(values).all(axis=2)
    here_NT = np.isin(np.arange(known_NT.shape[1]), pooled.positions) & known_NT
    if pooled.position == "all":
        here_NT &= split.next_roles_NT == pooled.role if pooled.role else split.next_scored_NT
    return np.asarray(here_NT)


def _probe_site(
    fit: _Split,
    scored: _Split,
    site: str,
    of_fit_NT: NDArray[np.bool_],
    of_scored_NT: NDArray[np.bool_],
    group: Iterable[_Target],
) -> Iterator[tuple[str, str, str, float]]:
    """Probe the states of one site.

    Yields:
        Name of the target, score, control, value.
    """
    spectra = {control: decompose(found[site][of_fit_NT]) for control, found in fit.states.items()}
    others = {control: found[site][of_scored_NT] for control, found in scored.states.items()}
    constant, others_constant = decompose(np.zeros((int(of_fit_NT.sum()), 1))), np.zeros((int(of_scored_NT.sum()), 1))
    for target in group:
        values = {
            "none": target.score(spectra["none"], target.fitted, others["none"]),
            "shuffled labels": target.score(spectra["none"], target.shuffled, others["none"]),
            "untrained network": target.score(spectra["untrained network"], target.fitted, others["untrained network"]),
            "majority": target.score(constant, target.fitted, others_constant),
        }
        score = "accuracy" if target.is_class else "R2"
        yield from ((target.name, score, control, value) for control, value in values.items())
