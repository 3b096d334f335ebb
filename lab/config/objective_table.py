"""Objectives: one table with everything that is known of one without torch.

A new objective is one `lab.objectives.Objective` and one entry in `OBJECTIVES`; one of your own is an `Objective` in any
importable module, which `objective.name: "module:Name"` names. Losses, costs, documentation and tests follow from the entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from lab.config.cost import flops_per_token
from lab.config.model import ModelSettings
from lab.errors import LabError
from lab.registry import load_object


class Shape(NamedTuple):
    """The sizes that costs of an objective depend on.

    Attributes:
        model: The network.
        n_future: N, prediction heads.
        window: `objective.window`, tokens.
        length: T, tokens of a sequence.
        vocabulary: V.
        longest_answer: Most tokens of an answer; 0 without answers.
    """

    model: ModelSettings
    n_future: int
    window: int
    length: int
    vocabulary: int
    longest_answer: int = 0


def head_losses(n_future: int, _window: int) -> tuple[str, ...]:
    """Name one loss for each prediction head, `1` to `N`."""
    return tuple(str(head) for head in range(1, n_future + 1))


def and_further(*names: str) -> Callable[[int, int], tuple[str, ...]]:
    """Return a function that names the losses of the prediction heads, and further losses after them."""
    return lambda n_future, window: (*head_losses(n_future, window), *names)


def _headless_losses(n_future: int, window: int) -> tuple[str, ...]:
    return (*head_losses(n_future, window), *(f"ahead_{ahead}" for ahead in range(2, window + 1)))


def _next_latent_flops(shape: Shape) -> int:
    """Count the MLP (its embeddings get no gradient), head 1's logits of true states, and those of predicted ones."""
    width, later = shape.model.width, shape.length - 1
    offsets = min(shape.window, later)
    predicted = sum(shape.length - ahead for ahead in range(1, offsets + 1))
    return (4 * later + 18 * predicted) * width**2 + (2 + 4 * offsets) * later * shape.vocabulary * width


def _hinge_flops(shape: Shape) -> int:
    """Count the logits of windows: blocks of K positions by the 2 K tokens in their windows."""
    window = min(shape.window, shape.length - 1)
    blocks = -(-shape.length // window)
    return 12 * blocks * window**2 * shape.model.width


def register_offsets(length: int, longest_answer: int, window: int) -> range:
    """Return how many tokens ahead a register of the objective `registers` may predict: from 2 where tasks have an answer.

    Args:
        length: T.
        longest_answer: Most tokens of an answer; 0 without answers.
        window: `objective.window`.
    """
    most = longest_answer or length - 1
    return range(min(2 if longest_answer else 1, window), min(window, most) + 1)


def count_registers(length: int, longest_answer: int, window: int) -> int:
    """Count the registers of a sequence: as many as have a target at the nearest offset. Arguments as `register_offsets`."""
    return (longest_answer or length - 1) - register_offsets(length, longest_answer, window).start + 1


def _register_flops(shape: Shape) -> int:
    """Count the network at tokens and registers instead of tokens alone, and one more product with the unembedding."""
    registers = count_registers(shape.length, shape.longest_answer, shape.window)
    without, all_positions = (
        length * flops_per_token(shape.model, shape.n_future, length, vocabulary=0)
        for length in (shape.length, shape.length + registers)
    )
    return all_positions - without + 6 * shape.length * shape.vocabulary * shape.model.width


def _nothing(_: object) -> int:
    return 0


@dataclass(frozen=True)
class ObjectiveKind:
    """The entry of an objective for settings, costs and documentation.

    Attributes:
        path: The `lab.objectives.Objective`, as "module:Name".
        losses: Names its losses from N and `objective.window`, in the order of their weights: those of the prediction heads,
            by number, then others. The first is head 1's next-token loss.
        plain: Whether each loss is the cross-entropy of one prediction head at the positions of the tokens. Other objectives
            have no gradient diagnostics and no ensembles.
        parameters: Counts the parameters of modules that train and are no part of the network.
        flops: Counts the floating-point operations of training on one sequence, forward and backward, beyond those of the
            network with N unembeddings.
        hidden_token: Whether the network has an embedding of a token that is not in the vocabulary, which the objective uses:
            `objective.teacherless` then must be false.
        least_window: The smallest `objective.window` at which it has further losses.
        formula: The loss, for the documentation.
        separates: Which explanation it separates from others, for the documentation.
        source: Where it comes from, for the documentation.
    """

    path: str = ""
    losses: Callable[[int, int], tuple[str, ...]] = head_losses
    plain: bool = True
    parameters: Callable[[ModelSettings], int] = _nothing
    flops: Callable[[Shape], int] = _nothing
    hidden_token: bool = False
    least_window: int = 1
    formula: str = ""
    separates: str = ""
    source: str = ""


OBJECTIVES: dict[str, ObjectiveKind] = {
    "sum": ObjectiveKind(
        "lab.objectives.kinds:SUM",
        formula="head i: token t + i",
        separates="the method itself",
        source="Gloeckle et al. 2024, section 2",
    ),
    "shuffled": ObjectiveKind(
        "lab.objectives.kinds:SHUFFLED",
        formula="head i: token t + i of another sequence of the step",
        separates="compute, noise and a larger loss from the information of the targets",
        source="control",
    ),
    "bag": ObjectiveKind(
        "lab.objectives.kinds:BAG",
        formula="heads 2..n: the next `window` tokens, each with the same probability",
        separates="which tokens come from when they come",
        source="order-free control",
    ),
    "order": ObjectiveKind(
        "lab.objectives.kinds:ORDER",
        formula="heads 2..n: softmax of minus the distance to each token's next occurrence, within `window` tokens",
        separates="the exact offset from the order of the coming tokens",
        source="token-order prediction, ListNet: Zuhri et al. 2025",
    ),
    "headless": ObjectiveKind(
        "lab.objectives.headless:HEADLESS",
        losses=_headless_losses,
        plain=False,
        flops=lambda shape: (shape.window - 1) * 6 * shape.length * shape.vocabulary * shape.model.width,
        formula="sum over k up to `window` of w_k CE(z, token t + k), on head 1's own logits z",
        separates="more targets from more prediction heads: parameters and depth are those of n = 1",
        source="modded-nanogpt and nanochat (code)",
    ),
    "next_latent": ObjectiveKind(
        "lab.objectives.next_latent:NEXT_LATENT",
        losses=and_further("latent", "kl"),
        plain=False,
        parameters=lambda model: 4 * model.width**2 + model.width,
        flops=_next_latent_flops,
        formula="a recurrent MLP predicts head 1's states at t + 1 to t + `window`: SmoothL1 to the true ones (`latent`), "
        "and KL between their next-token distributions (`kl`)",
        separates="look-ahead in latent space from look-ahead in tokens: no further head, a small module in training alone",
        source="NextLat, arXiv 2511.05963 (second-hand)",
    ),
    "future_bag": ObjectiveKind(
        "lab.objectives.future_bag:FUTURE_BAG",
        plain=False,
        least_window=2,
        formula="heads 2..n, logits a: (1/V) [sum_v softplus(a_v) - sum of a_v over the set of tokens t + 2 to t + `window`]",
        separates="which tokens come from when they come, as independent questions: the labels do not compete for probability",
        source="future summary prediction: arXiv 2510.14751 (second-hand)",
    ),
    "hinge": ObjectiveKind(
        "lab.objectives.hinge:HINGE",
        losses=and_further("hinge"),
        plain=False,
        flops=_hinge_flops,
        least_window=2,
        formula="mean over pairs of coming tokens, x nearer than y, of max(0, 1 - (z[x] - z[y])), z head 1's own logits",
        separates="the order of the coming tokens from their offsets, without further prediction heads",
        source="ranking loss: arXiv 2503.10542 (second-hand)",
    ),
    "coarse": ObjectiveKind(
        "lab.objectives.coarse:COARSE",
        losses=and_further("coarse"),
        plain=False,
        flops=lambda shape: 6 * shape.length * shape.vocabulary * shape.model.width,
        formula="-log of the sum of head 1's p_v over the class of token t + 1",
        separates="richer supervision from look-ahead: no target is beyond the next token",
        source="control, after the byte prefixes of modded-nanogpt (code)",
    ),
    "registers": ObjectiveKind(
        "lab.objectives.registers:REGISTERS",
        losses=and_further("registers"),
        plain=False,
        flops=_register_flops,
        hidden_token=True,
        formula="a register after token t predicts token t + d on head 1's path, d up to `window`; no token sees it",
        separates="look-ahead by more positions from look-ahead by more heads: one embedding more, the same next-token path",
        source="MuToR, arXiv 2505.10518",
    ),
}


def find_objective_kind(name: str) -> ObjectiveKind:
    """Return the kind of an objective: one of `OBJECTIVES`, or that of a user's own by "module:Name".

    Raises:
        LabError: If a user's own cannot be imported.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    kind = getattr(load_object(name, "objective.name"), "kind", None)
    if not isinstance(kind, ObjectiveKind):
        raise LabError(f"objective.name {name!r} is not a lab.objectives.Objective")
    return kind
