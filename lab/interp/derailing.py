"""First errors in sequences that a network completes itself, and the tokens after them.

B sequences, T positions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.decoding import FREE, Forced, Sampling, complete
from lab.errors import LabError
from lab.interp.sequences import Sequences, draw_sequences
from lab.model import Network
from tasks import Batch, Task

EVERYWHERE = -1
"""The `position` of values over all positions."""
COLUMNS = ["quantity", "role", "position", "value"]


class Judged(NamedTuple):
    """A task's judgement of answers, right or wrong; all (B, T).

    Attributes:
        inside: Whether the answer that was written has a token there.
        wrong: Whether it is off every right path there: of a determined answer, not the right token; else a token that does not
            follow from those before it, or any after a choice that lost all value.
        consistent: Whether the token is right after its own prefix, mistakes included; None where the task does not know.
        roles: Role of each position.
        sigma: sigma_pi of the tokens before (Gloeckle et al. 2024, section 5.1); None where the task does not know.
    """

    inside: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    consistent: NDArray[np.bool_] | None
    roles: NDArray[np.integer]
    sigma: NDArray[np.float64] | None


def judge_answers(task: Task, batch: Batch, tokens: NDArray[np.int64]) -> Judged:
    """Judge answers by the task: by the right answer, or by the consistency of each token with its prefix.

    Args:
        task: The task.
        batch: B sequences with right answers.
        tokens: (B, T) ids: the same prompts, and any answers.

    Raises:
        LabError: If the task has no answers, or neither determines them nor knows whether they are consistent.
    """
    consistent = task.consistent(tokens) if task.has_answer else None
    if not task.has_answer or (consistent is None and not task.determined):
        raise LabError(f"{task.name} does not know which answers are right: derailing needs determined or consistent answers")
    position = np.arange(tokens.shape[1])
    roles = task.roles_of(tokens)
    inside = (position >= batch.answer[:, :1]) & ((batch.roles if roles is None else roles) != 0)
    sigma = None
    if task.determined:
        inside &= position < batch.answer[:, 1:]
        wrong = tokens != batch.tokens
    else:
        assert consistent is not None
        wrong = ~consistent
    latents = task.latents(replace(batch, tokens=tokens))
    if "value" in latents and "sigma" in latents:
        wrong |= np.asarray(latents["value"])[:, :, 0] <= 0
        sigma = np.roll(np.asarray(latents["sigma"])[:, :, 0], 1, axis=1)
    return Judged(inside, wrong & inside, consistent, batch.roles if roles is None else roles, sigma)


def first_errors(judged: Judged) -> NDArray[np.int64]:
    """Return the position of the first wrong token of each sequence, (B,); T where there is none."""
    wrong = judged.wrong
    first_B: NDArray[np.int64] = np.where(wrong.any(axis=1), wrong.argmax(axis=1), wrong.shape[1])
    return first_B


def describe_errors(task: Task, batch: Batch, judged: Judged) -> list[tuple[str, str, int, float]]:
    """Compute the rows of `derailing` about first errors and the tokens after them."""
    first_B, position = first_errors(judged), np.arange(judged.wrong.shape[1])
    rows = [("any error", "all", EVERYWHERE, float(judged.wrong.any(axis=1).mean()))]
    at_risk = judged.inside & (position <= first_B[:, None])
    is_first = judged.inside & (position == first_B[:, None])
    offset = position - batch.answer[:, :1]
    for place in np.unique(offset[judged.inside]).tolist():
        here = offset == place
        if (at_risk & here).any():
            rows.append(("first error", "all", place, float(is_first[at_risk & here].mean())))
    groups = {role: judged.roles == number for number, role in enumerate(task.roles) if number}
    if judged.sigma is not None:
        levels = judged.sigma.round(2)
        groups |= {f"sigma {level:.2f}": levels == level for level in np.unique(levels[at_risk])}
    for name, chosen in groups.items():
        if (at_risk & chosen).any():
            rows.append(("first error", name, EVERYWHERE, float(is_first[at_risk & chosen].mean())))
    after = judged.inside & (position > first_B[:, None])
    if judged.consistent is not None and after.any():
        goes_on_B = after.any(axis=1)
        rows.append(("consistent after error", "all", EVERYWHERE, float(judged.consistent[after].mean())))
        whole_B = np.asarray((judged.consistent | ~after).all(axis=1))
        rows.append(("right continuation", "all", EVERYWHERE, float(whole_B[goes_on_B].mean())))
    return rows


@torch.no_grad()
def derailing(
    network: Network,
    task: Task,
    *,
    sequences: int = 256,
    decoding: str = "greedy",
    forced: str = "",
    split: str = "validation",
    seed: int = 0,
) -> pd.DataFrame:
    """Find first errors of answers that the network writes itself, and measure the tokens after them and the exposure gap.

    Args:
        network: A network that reads its own tokens.
        task: Its task, with answers.
        sequences: Number of sequences.
        decoding: `greedy`, or `sampled` at temperature 1.
        forced: A role of the answer whose tokens are imposed right, if the prompt determines them and prompts have one length;
            by default the task's own choice points, if it imposes them (maze: the right way at turns).
        split: Split from which the prompts are drawn.
        seed: Of the sequences and of sampling.

    Returns:
        `quantity`, `role` (or `all`; sigma_pi before a token as `sigma 0.30`), `position` (tokens from the answer's first one;
        -1 for all), `value`:

        - `any error`: share of answers with an error; `any error, choices forced`: with choice points imposed right.
        - `first error`: share of tokens that are wrong among those without an error before them.
        - `consistent after error`: share of tokens after the first error that are right after their own prefix; `right
          continuation`: share of answers, among those that go on after an error, in which all are.
        - `accuracy, true prefix` and `accuracy, own prefix`: share of right tokens where the prefix is the true answer's or the
          network's own (after an error, those that are consistent if the answer is not determined); `exposure gap`: their
          difference. Over positions that both have, and after a true prefix without error.
        - `loss, true prefix` and `loss, own prefix`: loss in nats of the right tokens, of determined answers.

    Raises:
        LabError: If the answer is hidden from the network, the task does not know what is right, or an option is wrong.
    """
    if network.spec.teacherless:
        raise LabError("derailing needs a network that reads its own tokens, and this one has the answer hidden")
    if decoding not in ("greedy", "sampled"):
        raise LabError(f"decoding must be greedy or sampled, not {decoding!r}")
    drawn = draw_sequences(network, task, sequences, split, seed)
    judge_answers(task, drawn.batch, drawn.batch.tokens)  # rejects a task that does not fit, before any work
    sampling = Sampling(seed=seed) if decoding == "sampled" else None
    own_BT = _complete(network, drawn, sampling)
    judged = judge_answers(task, drawn.batch, own_BT.cpu().numpy())
    rows = describe_errors(task, drawn.batch, judged)
    imposed = _imposed(task, drawn, forced)
    if imposed is not None:
        free = judge_answers(task, drawn.batch, _complete(network, drawn, sampling, imposed).cpu().numpy())
        rows.append(("any error, choices forced", "all", EVERYWHERE, float(free.wrong.any(axis=1).mean())))
    return pd.DataFrame([*rows, *_gaps(network, task, drawn, own_BT, judged, sampling)], columns=COLUMNS)


def _complete(network: Network, drawn: Sequences, sampling: Sampling | None, forced: Forced | None = None) -> Tensor:
    """Complete the prompts to the length of the sequences, (B, T)."""
    begin_B, length = drawn.batch.answer[:, 0].tolist(), drawn.tokens_BT.shape[1]
    prompts = [tokens[:begin] for tokens, begin in zip(drawn.tokens_BT, begin_B, strict=True)]
    written = complete(network, prompts, length - min(begin_B), sampling=sampling, forced=forced).tokens_BT
    return written[:, :length]


def _imposed(task: Task, drawn: Sequences, role: str) -> Forced | None:
    """Return a function that imposes the right tokens of a role, or at the task's choice points; None without either."""
    if role:
        begin, chosen_BT = int(drawn.batch.answer[0, 0]), drawn.batch.roles == task.role(role)
        if not chosen_BT[:, begin:].any():
            raise LabError(f"forced must be a role of the answers of {task.name}, not {role!r}")
        # a floor of 0 is given all tokens before; roles that depend on what is written follow from the network's own choices
        if not task.determined and (task.floor(role) != 0 or task.roles_of(drawn.batch.tokens) is not None):
            raise LabError(f"forced must be a role whose tokens the prompt of {task.name} determines, not {role!r}")
        if (drawn.batch.answer[:, 0] != begin).any():
            raise LabError(f"forced needs prompts of one length, and those of {task.name} differ")
        right_BT = np.where(chosen_BT, drawn.batch.tokens, FREE)
        by_prompt = {tokens[:begin].tobytes(): right for tokens, right in zip(drawn.batch.tokens, right_BT, strict=True)}

        def impose_role(prefix_BT: Tensor) -> Tensor:
            at = prefix_BT.shape[1]
            imposed = [by_prompt[tokens[:begin].tobytes()][at] for tokens in prefix_BT.cpu().numpy()]
            return torch.tensor(imposed, device=prefix_BT.device)

        return impose_role
    if task.forced(drawn.batch.tokens[:1, : drawn.batch.answer[0, 0]]) is None:
        return None

    def impose(prefix_BT: Tensor) -> Tensor:
        imposed_B = task.forced(prefix_BT.cpu().numpy())
        assert imposed_B is not None
        return torch.from_numpy(imposed_B).to(prefix_BT.device)

    return impose


def _gaps(
    network: Network, task: Task, drawn: Sequences, own_BT: Tensor, judged: Judged, sampling: Sampling | None
) -> list[tuple[str, str, int, float]]:
    """Compare the network on true prefixes with the network on its own, where both have a token of the answer."""
    batch, position = drawn.batch, np.arange(own_BT.shape[1])
    log_probs = {"true": network.logits(drawn.tokens_BT).double().log_softmax(-1)}
    guessed_BT = _choose(log_probs["true"], sampling).cpu().numpy()
    true = judge_answers(task, batch, batch.tokens)
    at = true.inside & judged.inside & (position <= first_errors(true)[:, None])  # answers of the data can have errors, too
    right = {"true": _right_after_truth(task, batch, guessed_BT), "own": ~judged.wrong}
    offset, rows = position - batch.answer[:, :1], []
    places = {EVERYWHERE: at} | {place: at & (offset == place) for place in np.unique(offset[at]).tolist()}
    for place, chosen in places.items():
        accuracy = {name: float(each[chosen].mean()) for name, each in right.items()}
        rows += [(f"accuracy, {name} prefix", "all", place, value) for name, value in accuracy.items()]
        rows.append(("exposure gap", "all", place, accuracy["true"] - accuracy["own"]))
    if task.determined:
        log_probs["own"] = network.logits(own_BT).double().log_softmax(-1)
        for name, each_BTV in log_probs.items():
            loss_BT = -each_BTV[:, :-1].gather(-1, drawn.tokens_BT[:, 1:, None])[..., 0].cpu().numpy()
            rows += [
                (f"loss, {name} prefix", "all", place, float(loss_BT[chosen[:, 1:]].mean())) for place, chosen in places.items()
            ]
    return rows


def _choose(log_probs_BTV: Tensor, sampling: Sampling | None) -> Tensor:
    """Choose the token after each position, (B, T): at t the one for position t."""
    if sampling is None:
        return log_probs_BTV.argmax(-1).roll(1, 1)
    generator = torch.Generator().manual_seed(sampling.seed)
    flat = log_probs_BTV.exp().flatten(0, 1).cpu()
    return torch.multinomial(flat, 1, generator=generator).view(log_probs_BTV.shape[:2]).roll(1, 1)


def _right_after_truth(task: Task, batch: Batch, guessed_BT: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each guess is right after the true tokens before it, (B, T)."""
    if task.determined:
        same_BT: NDArray[np.bool_] = guessed_BT == batch.tokens
        return same_BT
    right_BT = np.zeros(guessed_BT.shape, dtype=np.bool_)
    for position in range(int(batch.answer[:, 0].min()), guessed_BT.shape[1]):
        tokens = batch.tokens.copy()
        tokens[:, position] = guessed_BT[:, position]
        right_BT[:, position] = ~judge_answers(task, batch, tokens).wrong[:, position]
    return right_BT
