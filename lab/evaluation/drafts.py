"""Check that a run can decode prompts and draft, and measure its drafts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lab.config import Experiment
from lab.config.terms import Term
from lab.decoding import Completion, Tree
from lab.errors import LabError, check_count, check_head, check_whole
from lab.evaluation.batch import EVALUATION_SEED
from lab.metrics import EVERY_TARGET, Metric
from lab.objectives import find_objective, future_targets, make_step_data
from lab.objectives.schedule import make_stages
from lab.runs import Run
from tasks import Task
from tasks.errors import shown

Prompts = int | Sequence[str] | Sequence[Sequence[int]]
"""How many held-out sequences to take the prompts from, or prompts: words of the task, or tokens."""
END_WORDS = ("<end>", "<|endofstory|>", "<|endoftext|>")
"""Words with which a task ends a sequence."""


def open_finished(run: Run | Path | str, purpose: str = "decode") -> Run:
    """Return a run whose next-token path can be used.

    Args:
        run: The run.
        purpose: The intended use, for the message.

    Raises:
        LabError: If it is not finished, or a teacherless one, whose network has never read an answer.
    """
    opened = run if isinstance(run, Run) else Run(run)
    if opened.state != "finished":
        raise LabError(f"{opened.path}: must be finished to {purpose}, not {opened.state}")
    if opened.experiment.objective.teacherless is True:
        raise LabError(f"{opened.path}: objective.teacherless must be false to {purpose}: the network never read an answer")
    return opened


def check_draft(run: Run, draft: int | Tree | None) -> Tree | None:
    """Return the tree of a draft, None for head 1 alone.

    Raises:
        LabError: If the run has too few heads, or one that draft was not trained to predict its token.
    """
    experiment = run.experiment
    n, objective = experiment.n_future, experiment.objective
    heads = check_head(n if draft is None else draft.heads if isinstance(draft, Tree) else draft, n, f"{run.path}: heads")
    if heads == 1:
        return None
    if not _predicts_ahead(experiment):
        raise LabError(
            f"{run.path}: heads must be 1 with objective.name {objective.name}: heads 2..n do not predict the tokens ahead"
        )
    trained = {number for stage in make_stages(experiment) for number in stage.trained}
    for head in range(2, heads + 1):
        if head not in trained:
            raise LabError(f"{run.path}: heads must be below {head}, whose loss has weight 0: it is not trained to draft")
        if not any(term.head == term.distance == head for term in objective.terms or (Term(head=head),)):
            raise LabError(f"{run.path}: heads must be below {head}, which objective.terms do not train on token t + {head}")
    return draft if isinstance(draft, Tree) else Tree.chain(heads)


def _predicts_ahead(experiment: Experiment) -> bool:
    """Return whether an objective has token t + i as the target of each prediction head i, by its targets of some sequences."""
    objective, sequences = find_objective(experiment), experiment.task.batch(EVALUATION_SEED, 0, 4, "validation")
    step, n = make_step_data(experiment, objective, sequences, 0), experiment.n_future
    return torch.equal(objective.targets(step).tokens[:n], future_targets(step.tokens_BT, step.scored_BT, n))


def prompt_tokens(task: Task, prompts: Prompts, split: str, index: int = 0) -> list[Tensor]:
    """Return the tokens of prompts.

    The prompt of a held-out sequence ends before its answer; without an answer, before the position from which the task judges
    samples; else it is the first quarter. Sequences of another `index` are drawn anew.

    Raises:
        LabError: If there is no list of prompts, or one is empty or not shorter than the task's sequences.
        TaskError: If a word is none of the task's.
    """
    if not isinstance(prompts, Sequence):
        count = check_count("prompts", prompts)
        batch = task.batch(EVALUATION_SEED, index, count, split)
        begin = task.sampled_from if task.sampled_from is not None else max(1, task.length // 4)
        begins = batch.answer[:, 0].tolist() if task.has_answer else [begin] * count
        return [torch.from_numpy(tokens[:each]) for tokens, each in zip(batch.tokens, begins, strict=True)]
    if isinstance(prompts, str):
        raise LabError(f"prompts must be a list of prompts, as [{prompts!r}], not a text")
    if not prompts:
        raise LabError("prompts must hold at least one prompt")
    rows = [torch.from_numpy(task.encode(each)) if isinstance(each, str) else _tokens(each) for each in prompts]
    for number, row in enumerate(rows):
        if not 1 <= len(row) < task.length:
            raise LabError(f"prompts must have 1 to {task.length - 1} tokens of {task.name}; prompt {number} has {len(row)}")
    return rows


def _tokens(prompt: Sequence[int]) -> Tensor:
    """Return a prompt that is given by its tokens."""
    try:
        row = torch.as_tensor(prompt)
    except (TypeError, ValueError, RuntimeError):  # words, or lists of different lengths
        row = torch.empty(())
    if row.ndim != 1 or (len(row) and row.is_floating_point()):
        raise LabError(f"prompts must be words of the task, as 'a b c', or tokens, as [1, 2, 3], not {shown(prompt)}")
    return row.to(torch.int64)


def count_new_tokens(task: Task, prompts: Sequence[Tensor], new_tokens: int | None) -> int:
    """Return the number of new tokens of each sequence, by default up to the length that the network was trained on.

    Raises:
        LabError: If a sequence would be longer than that, or `new_tokens` is below 1.
    """
    most = task.length - max(map(len, prompts))
    count = most if new_tokens is None else check_whole("new_tokens", new_tokens)
    if not 1 <= count <= most:
        raise LabError(f"new_tokens must be between 1 and {most}, the rest of the {task.length} of {task.name}, not {count}")
    return count


def find_end_token(task: Task) -> int | None:
    """Return the token that ends a sequence; None if the task has none."""
    return next((token for token in range(task.vocab_size) if task.word(token) in END_WORDS), None)


def draft_metrics(done: Completion, task: Task, heads: int) -> dict[str, float]:
    """Measure the drafts of a completion.

    Returns:
        By name: `new_tokens`, `forwards`, `tokens_per_forward`; with drafts `mean_acceptance_length`, and for each head i that
        drafts `drafted/<i>` and `accepted/<i>` (tokens), `acceptance/<i>`, and `acceptance_given_reached/<role>/<i>`, of drafts
        before which all were accepted, by the role of the token at that position, `all` for any. Roles are left out where the
        task cannot give those of tokens that a model has written.
    """
    values = {
        "new_tokens": float(done.new_tokens),
        "forwards": float(sum(done.forwards)),
        "tokens_per_forward": done.tokens_per_forward,
    }
    if heads == 1:
        return values
    values["mean_acceptance_length"] = done.mean_acceptance_length
    sequence, position, drafted, accepted = (each.numpy() for each in done.drafts)
    roles_BT = task.roles_of(done.tokens_BT.numpy())
    for head in range(2, heads + 1):
        ahead = head - 1
        hit, reached = accepted >= ahead, (drafted >= ahead) & (accepted >= ahead - 1)
        values[str(Metric("drafted", head=head))] = float((drafted >= ahead).sum())
        values[str(Metric("accepted", head=head))] = float(hit.sum())
        values[str(Metric("acceptance", head=head))] = done.acceptance(ahead)
        values[str(Metric("acceptance_given_reached", role=EVERY_TARGET, head=head))] = done.acceptance_given_reached(ahead)
        if roles_BT is None:
            continue
        role_E = roles_BT[sequence[reached], position[reached] + ahead - 1]
        for number, role in enumerate(task.roles):
            if number and (role_E == number).any():
                name = Metric("acceptance_given_reached", role=role, head=head)
                values[str(name)] = float(hit[reached][role_E == number].mean())
    return values
