"""Terms of the loss, compared with a loop over sequences, positions and terms, and with hand-written targets on agreement."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lab
from lab.config.terms import Term
from lab.objectives import IGNORE, Targets, describe_target, find_objective, make_microbatches, multi_head_loss
from lab.objectives.schedule import make_stages
from lab.objectives.terms import term_targets
from tasks import Batch

B, T, D, V, N = 3, 9, 4, 7, 3
ROLES = ("-", "a", "b", "c")
SOME_ROLES = st.none() | st.lists(st.sampled_from(ROLES[1:]), min_size=1, max_size=2).map(tuple)


@st.composite
def terms_of(draw: st.DrawFn) -> Term:
    chosen = {name: draw(SOME_ROLES) for name in ("target", "position")}
    exceptions = {f"except_{name}": draw(SOME_ROLES) for name, roles in chosen.items() if roles is None}
    return Term(head=draw(st.integers(1, N)), ahead=draw(st.none() | st.integers(1, 5)), **chosen, **exceptions)


def is_target(term: Term, roles: Sequence[int], position: int, at: int) -> bool:
    """Return whether a term makes the token at `at` a target at a position."""
    target, here = ROLES[roles[at]], ROLES[roles[position]]
    return all(
        (names is None or role in names) and (excluded is None or role not in excluded)
        for role, names, excluded in ((target, term.target, term.except_target), (here, term.position, term.except_position))
    )


def naive_targets(terms: Sequence[Term], scored: Tensor, roles: Tensor) -> dict[tuple[int, int, int], int]:
    """Return the position of the target by head (from 1), sequence and position."""
    found = {}
    for term in terms:
        for b in range(len(scored)):
            for position in range(scored.shape[1]):
                at = position + (term.ahead or term.head)
                if at < scored.shape[1] and scored[b, at] and is_target(term, roles[b].tolist(), position, at):
                    found[term.head, b, position] = at
    return found


@given(st.lists(terms_of(), min_size=1, max_size=5), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_a_loop(terms: list[Term], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(V, (B, T), generator=generator)
    roles = torch.randint(1, len(ROLES), (B, T), generator=generator)
    scored = torch.rand(B, T, generator=generator) < 0.7
    scored[:, 1 : N + 2] = True  # every head has a target
    hidden = torch.randn(N, B, T, D, generator=generator, dtype=torch.float64).requires_grad_()
    matrix = torch.randn(V, D, generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.tensor([1.0, 0.3, 2.0], dtype=torch.float64)
    counts = [sum(bool(scored[b, t]) for b in range(B) for t in range(head, T)) for head in range(1, N + 1)]
    wanted = torch.zeros((), dtype=torch.float64)
    for (head, b, position), at in naive_targets(terms, scored, roles).items():
        log_p = (matrix @ hidden[head - 1, b, position]).log_softmax(-1)
        wanted = wanted - weights[head - 1] * log_p[tokens[b, at]] / counts[head - 1]
    targets = Targets(term_targets(terms, ROLES, tokens, scored, roles, N))
    found = multi_head_loss(hidden, matrix, targets, torch.tensor(counts), weights_N=weights).total
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    if wanted.requires_grad:
        for one, other in zip(*(torch.autograd.grad(each, (hidden, matrix)) for each in (found, wanted)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


STEM, CASE, VERB, KEY = 9, 10, 11, 8
"""Positions in agreement with four pairs."""
EACH = {(1, KEY): STEM, (1, STEM): CASE, (1, CASE): VERB, (2, KEY - 1): STEM, (2, KEY): CASE, (2, STEM): VERB}
ONE = {key: at for key, at in EACH.items() if key[0] == 1}
CONDITIONS: list[tuple[int, list[dict[str, Any]], dict[tuple[int, int], int]]] = [
    (2, [{"head": 1}, {"head": 2}], EACH),
    (2, [{"head": 1}, {"head": 2, "target": "case_first"}], ONE | {(2, KEY): CASE}),
    (2, [{"head": 1}, {"head": 2, "except_target": "case_first"}], ONE | {(2, KEY - 1): STEM, (2, STEM): VERB}),
    (2, [{"head": 1}, {"head": 2, "ahead": 1}], ONE | {(2, position): at for (_, position), at in ONE.items()}),
    (1, [{"head": 1}, {"head": 1, "ahead": 2, "target": "case_first"}], ONE | {(1, KEY): CASE}),
    (1, [{"head": 1}, {"head": 1, "ahead": 3, "target": "verb"}], ONE | {(1, KEY): VERB}),
    (1, [{"head": 1, "except_target": "stem"}], {(1, STEM): CASE, (1, CASE): VERB}),
    (2, [{"head": 1}, {"head": 2, "position": ["prompt"]}], ONE | {(2, KEY - 1): STEM, (2, KEY): CASE}),
    (2, [{"head": 1}, {"head": 2, "except_position": "prompt"}], ONE | {(2, STEM): VERB}),
]


@pytest.mark.parametrize(("n", "terms", "wanted"), CONDITIONS)
def test_each_condition_on_agreement_has_its_targets(
    n: int, terms: list[dict[str, Any]], wanted: dict[tuple[int, int], int]
) -> None:
    plain = lab.experiment("agreement", {"batch_size": 5, "task.pairs": 4}, n_future=n)
    experiment = lab.override(plain, {"objective.terms": terms})
    batch = experiment.task.batch(0, 0, 5, "train")

    def targets_and_counts(experiment: lab.Experiment, batch: Batch) -> tuple[Tensor, Tensor]:
        (micro,) = make_microbatches(experiment, find_objective(experiment), batch, 0, 1)
        return micro.targets.tokens, micro.counts_L

    targets_NBT, counts_N = targets_and_counts(experiment, batch)
    expected = torch.full_like(targets_NBT, IGNORE)
    for (head, position), at in wanted.items():
        expected[head - 1, :, position] = torch.from_numpy(batch.tokens)[:, at]
    assert torch.equal(targets_NBT, expected)
    assert counts_N.tolist() == targets_and_counts(plain, batch)[1].tolist() == [15.0] * n


def test_a_record_states_the_targets_of_each_head() -> None:
    terms = [{"head": 1}, {"head": 1, "ahead": 2, "target": "case_first"}, {"head": 2, "except_target": ["stem", "verb"]}]
    experiment = lab.experiment("agreement", {"objective.terms": terms}, n_future=3)
    assert [describe_target(experiment, head) for head in (1, 2, 3)] == [
        "token t+1; instead token t+2 where it is case_first",
        "token t+2 unless it is stem or verb",
        "nothing",
    ]
    assert make_stages(experiment)[0].weights == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], r"must be all or a list of terms, as \[\{head: 1\}\], not \[\]"),
        ("each", "must be all or a list of terms"),
        (None, "must be all or a list of terms"),
        ([{"head": 2}], "must have a term of head 1"),
        ([{"head": 1}, {"head": 3}], "head must be between 1 and n_future = 2, not 3"),
        ([{"head": 1, "target": "case"}], r"target must be roles of agreement \(prompt, stem, case_first, verb\), not 'case'"),
        ([{"head": 1, "position": "-"}], "position must be roles of agreement"),
        ([{"head": 1, "target": "stem", "except_target": "verb"}], "target and except_target exclude each other"),
        ([{"head": 1, "target": []}], "roles must be a name or a list of names"),
        ([{"head": 1, "ahead": 12}], "ahead must be below 12, the sequence length, not 12"),
        ([{"head": 1, "hed": 2}], "unknown setting 'objective.terms.0.hed'"),
        ([{"ahead": 1}], "objective.terms.0.head is missing"),
        ([1], "objective.terms.0 must be a mapping"),
    ],
)
def test_wrong_terms_are_named(terms: object, message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        lab.experiment("agreement", {"objective.terms": terms}, n_future=2)


def test_terms_need_the_plain_sum() -> None:
    settings = {"objective.terms": [{"head": 1}], "objective.name": "bag"}
    with pytest.raises(lab.LabError, match=r"objective\.terms must be all with objective\.name bag"):
        lab.experiment("agreement", settings, n_future=2)


def test_a_head_cannot_predict_a_token_that_it_reads() -> None:
    settings = {"objective.terms": [{"head": 1}, {"head": 2, "ahead": 1}], "model.heads": "sequential"}
    with pytest.raises(lab.LabError, match="ahead of head 2 must be at least 2, not 1"):
        lab.experiment("agreement", settings, n_future=2)


def test_the_file_of_an_experiment_has_its_terms() -> None:
    terms = [{"head": 1}, {"head": 2, "target": "case_first"}]
    experiment = lab.experiment("agreement", {"objective.terms": terms}, n_future=2)
    text = lab.dump(experiment)
    assert "  terms:\n  - head: 1\n  - head: 2\n    target:\n    - case_first\n" in text
    assert lab.override(experiment, {}) == experiment
    assert lab.override(experiment, {"objective.terms": "all"}) == lab.experiment("agreement", n_future=2)
