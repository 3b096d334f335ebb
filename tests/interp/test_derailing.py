"""Errors of completed answers: hand-written answers with known errors, and networks compared with plain loops."""

from typing import Any

import numpy as np
import pytest
import torch

import tasks
from lab.decoding import Completion, Forced, complete
from lab.errors import LabError
from lab.interp.derailing import EVERYWHERE, derailing, describe_errors, judge_answers
from lab.model import Network, build
from tasks import Batch, Task
from tasks.maze import Maze
from tests.helpers.tiny import tiny

STAR = tasks.get("star", degree=2, arm=4)
MAZE = tasks.get("maze", turns=2, detours=1, corridor=2, nodes=24, slip=0.3)

Rates = dict[tuple[str, str, int], float]


def error_rates(task: Task, batch: Batch, tokens: np.ndarray) -> Rates:
    rates = describe_errors(task, batch, judge_answers(task, batch, tokens))
    assert len({row[:3] for row in rates}) == len(rates)
    return {row[:3]: row[3] for row in rates}


def test_right_answers_have_no_errors() -> None:
    for task in (STAR, tasks.get("agreement"), tasks.get("addition"), tasks.get("maze", slip=0.0)):
        batch = task.batch(0, 0, 64, "validation")
        rates = error_rates(task, batch, batch.tokens)
        assert rates["any error", "all", EVERYWHERE] == 0
        assert all(value == 0 for (quantity, *_), value in rates.items() if quantity == "first error")
        assert not any(quantity in ("consistent after error", "right continuation") for quantity, *_ in rates)


@pytest.mark.parametrize("wrong_at", [0, 2])
def test_an_error_at_one_position_is_found_there(wrong_at: int) -> None:
    batch = STAR.batch(0, 0, 50, "validation")
    tokens = batch.tokens.copy()
    begin = int(batch.answer[0, 0])
    tokens[:25, begin + wrong_at] = (tokens[:25, begin + wrong_at] + 1) % STAR.vocab_size
    rates = error_rates(STAR, batch, tokens)
    assert rates["any error", "all", EVERYWHERE] == 0.5
    for position in range(3):
        assert rates["first error", "all", position] == (0.5 if position == wrong_at else 0.0)
    role = "turn" if wrong_at == 0 else "follow"
    assert rates["first error", role, EVERYWHERE] == pytest.approx(0.5 if wrong_at == 0 else 25 / 100)


def other_arm(batch: Batch) -> np.ndarray:
    """Return the sequences with their answers along the other arm: a wrong turn, then consistent steps."""
    tokens = batch.tokens.copy()
    for row, (begin, end) in enumerate(batch.answer.tolist()):
        start = int(tokens[row, begin - 2])
        edges = dict[int, list[int]]()
        for u, v in tokens[row, : begin - 2].reshape(-1, 2).tolist():
            edges.setdefault(u, []).append(v)
        at = next(node for node in edges[start] if node != tokens[row, begin])
        for position in range(begin, end):
            tokens[row, position] = at
            at = edges.get(at, [0])[0]
    return tokens


def test_steps_after_a_wrong_turn_can_be_right() -> None:
    batch = STAR.batch(0, 0, 40, "validation")
    tokens = other_arm(batch)
    rates = error_rates(STAR, batch, tokens)
    assert rates["any error", "all", EVERYWHERE] == rates["first error", "turn", EVERYWHERE] == 1
    assert rates["consistent after error", "all", EVERYWHERE] == rates["right continuation", "all", EVERYWHERE] == 1
    tokens[:10, -1] = batch.tokens[:10, -1]  # a leap to the goal
    rates = error_rates(STAR, batch, tokens)
    assert rates["right continuation", "all", EVERYWHERE] == 0.75
    assert rates["consistent after error", "all", EVERYWHERE] == pytest.approx(1 - 0.25 / 2)


def test_errors_of_a_maze_are_slips_at_turns() -> None:
    """In walks of the data the errors are the slips; each walk then follows its wrong way correctly, and sigma is above 0."""
    assert isinstance(MAZE, Maze)
    batch = MAZE.batch(0, 0, 4000, "validation")
    rates = error_rates(MAZE, batch, batch.tokens)
    assert rates["any error", "all", EVERYWHERE] == pytest.approx(1 - 0.7**2, abs=0.03)
    assert rates["first error", "turn", EVERYWHERE] == pytest.approx(0.3, abs=0.03)
    assert rates["first error", "detour", EVERYWHERE] == rates["first error", "forced", EVERYWHERE] == 0
    assert rates["right continuation", "all", EVERYWHERE] == 1
    sigmas = {role: value for (quantity, role, _), value in rates.items() if role.startswith("sigma")}
    assert sigmas.pop("sigma 0.00") == 0
    assert len(sigmas) == 2
    assert list(sigmas.values()) == pytest.approx([0.3, 0.3], abs=0.03)


def complete_greedily(network: Network, batch: Batch) -> torch.Tensor:
    tokens = torch.from_numpy(batch.tokens).clone()
    for position in range(int(batch.answer[0, 0]), tokens.shape[1]):
        tokens[:, position] = network.logits(tokens[:, :position])[:, -1].argmax(-1)
    return tokens


@torch.no_grad()
def test_exposure_gaps_agree_with_plain_loops() -> None:
    network = build(tiny("star", n_future=2)).eval()
    task, count = tasks.get("star"), 30
    batch = task.batch(3, 0, count, "test")
    table = derailing(network, task, sequences=count, split="test", seed=3)
    found = table.set_index(["quantity", "role", "position"])["value"]
    own, true = complete_greedily(network, batch), torch.from_numpy(batch.tokens)
    begin, end = batch.answer[0].tolist()
    for prefix, tokens in (("true", true), ("own", own)):
        log_probs = network.logits(tokens).double().log_softmax(-1)
        losses = [-log_probs[b, p - 1, true[b, p]] for b in range(count) for p in range(begin, end)]
        hits = [log_probs[b, p - 1].argmax() == true[b, p] for b in range(count) for p in range(begin, end)]
        assert found[f"loss, {prefix} prefix", "all", -1] == pytest.approx(float(torch.stack(losses).mean()), abs=1e-4)
        assert found[f"accuracy, {prefix} prefix", "all", -1] == pytest.approx(float(torch.stack(hits).double().mean()))
    at_end = float((own[:, end - 1] == true[:, end - 1]).double().mean())
    assert found["accuracy, own prefix", "all", end - 1 - begin] == pytest.approx(at_end)
    gap = found["accuracy, true prefix"] - found["accuracy, own prefix"]
    np.testing.assert_allclose(found["exposure gap"], gap)
    assert found["exposure gap", "all", 0] == 0, "the first token has the same prefix"


def test_a_forced_role_is_always_right() -> None:
    """With arms of one step the turn is the whole answer; with longer arms the steps after it can still be wrong."""
    for arm in (2, 3):
        experiment = tiny("star", n_future=1, task__arm=arm, task__nodes=10)
        table = derailing(build(experiment), experiment.task, sequences=50, forced="turn").set_index("quantity")["value"]
        assert table["any error"] > 0.5
        assert (table["any error, choices forced"] == 0) == (arm == 2)


def test_a_maze_forces_its_own_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    network, task, rules = build(tiny("maze", n_future=1)), tasks.get("maze"), []

    def record(*arguments: Any, forced: Forced | None, **options: Any) -> Completion:
        rules.append(forced)
        return complete(*arguments, forced=forced, **options)

    monkeypatch.setattr("lab.interp.derailing.complete", record)
    derailing(network, task, sequences=4)
    free, imposed = rules
    assert free is None
    batch = task.batch(0, 0, 4, "validation")
    prompts = batch.tokens[:, : batch.answer[0, 0]]
    assert imposed(torch.from_numpy(prompts)).tolist() == task.forced(prompts).tolist()
    with pytest.raises(LabError, match="forced must be a role whose tokens the prompt of maze determines"):
        derailing(network, task, sequences=4, forced="turn")


@pytest.mark.parametrize(
    ("task", "role", "message"),
    [
        ("maze", "forced", "forced must be a role whose tokens the prompt of maze determines, not 'forced'"),
        ("maze", "outcome", "forced must be a role whose tokens the prompt of maze determines, not 'outcome'"),
        ("star", "prompt", "forced must be a role of the answers of star, not 'prompt'"),
        ("addition", "carry_0", "forced needs prompts of one length, and those of addition differ"),
    ],
)
def test_a_role_that_cannot_be_forced_is_rejected(task: str, role: str, message: str) -> None:
    """Steps of a maze have a floor of 0, but follow from the choices before them, which the network makes itself."""
    with pytest.raises(LabError, match=message):
        derailing(build(tiny(task, n_future=1)), tasks.get(task), sequences=16, forced=role)


@torch.no_grad()
def test_walks_are_compared_up_to_the_slip_in_the_data() -> None:
    """Compare with a loop over predictions: one is right if the step is on the map and the goal can still be reached."""
    task, count = tasks.get("maze", slip=0.4), 40
    assert isinstance(task, Maze)
    network = build(tiny("maze", n_future=1)).eval()
    table = derailing(network, task, sequences=count).set_index(["quantity", "position"])["value"]
    batch = task.batch(0, 0, count, "validation")
    own, true = complete_greedily(network, batch), torch.from_numpy(batch.tokens)
    written = task.roles_of(own.numpy())
    assert written is not None
    hits = []
    for row, begin in enumerate(batch.answer[:, 0].tolist()):
        for position in range(begin, task.length):
            if not (batch.roles[row, position] and written[row, position]):
                continue
            predicted = true[row : row + 1].clone()
            predicted[0, position] = network.logits(predicted[:, :position])[0, -1].argmax()
            right = [
                bool(task.consistent(tokens)[0, position]) and task.values(tokens)[0][0, position] > 0
                for tokens in (predicted.numpy(), own[row : row + 1].numpy())
            ]
            hits.append(right)
            if task.values(batch.tokens[row : row + 1])[0][0, position] == 0:
                break  # the walker of the data slipped here
    assert table["accuracy, true prefix", EVERYWHERE] == pytest.approx(np.mean([hit[0] for hit in hits]))
    assert table["accuracy, own prefix", EVERYWHERE] == pytest.approx(np.mean([hit[1] for hit in hits]))
    assert "loss, true prefix" not in table.index.get_level_values(0), "no walk has a unique right step"


def test_unsuitable_tasks_and_options_are_rejected() -> None:
    network = build(tiny())
    for task, options, message in (
        (tasks.get("induction", vocabulary=12, period=[3, 5], length=12, test_period=None), {}, "induction does not know"),
        (tasks.get("star"), {"decoding": "beam"}, "decoding must be greedy or sampled, not 'beam'"),
    ):
        of_task = network if not options else build(tiny("star"))
        with pytest.raises(LabError, match=message):
            derailing(of_task, task, sequences=4, **options)
    hidden = tiny("star", n_future=1, objective__teacherless=True)
    with pytest.raises(LabError, match="answer hidden"):
        derailing(build(hidden), hidden.task)


def test_the_rate_of_first_errors_is_over_error_free_prefixes() -> None:
    batch = STAR.batch(0, 0, 40, "validation")
    tokens, begin = batch.tokens.copy(), int(batch.answer[0, 0])
    tokens[:20, begin] = (tokens[:20, begin] + 1) % STAR.vocab_size
    tokens[:30, begin + 1] = (tokens[:30, begin + 1] + 1) % STAR.vocab_size
    rates = error_rates(STAR, batch, tokens)
    assert [rates["first error", "all", position] for position in range(3)] == [20 / 40, 10 / 20, 0 / 10]
    assert rates["first error", "follow", EVERYWHERE] == 10 / (20 + 10)
