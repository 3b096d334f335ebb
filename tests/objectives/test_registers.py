"""Registers: the tokens they see, their targets, and that no token sees them."""

import pytest
import torch
from torch import Tensor

import lab
from lab.config import Experiment
from lab.config.kinds import KINDS
from lab.evaluation.evaluator import Evaluator
from lab.model import Context, Network, build
from lab.objectives import IGNORE, Inputs, StepData, find_objective, make_step_data
from lab.objectives.registers import add_register_targets, append_registers, draw_layout
from lab.training.feed import Feed
from tests.helpers.tiny import tiny


def register_experiment(task: str = "induction", **changes: object) -> Experiment:
    return tiny(task, **{"objective__name": "registers", "objective__window": 3, "model__layers": 4, **changes})


def step_of(experiment: Experiment, step: int = 0) -> StepData:
    return make_step_data(experiment, find_objective(experiment), Feed(experiment).batch(step), step)


def hidden(network: Network, inputs: Inputs) -> Tensor:
    context = Context(positions=inputs.positions_BS, mask=inputs.mask_B1SS)
    states: Tensor = network(inputs.tokens_BS, context=context)
    return states


@torch.no_grad()
@pytest.mark.parametrize("heads", KINDS)
def test_tokens_have_the_states_of_a_network_without_registers(heads: str) -> None:
    experiment = register_experiment(model__heads=heads, model__layers=5)
    step, network = step_of(experiment), build(experiment).double()
    with_registers, plain = hidden(network, append_registers(step)), network(step.tokens_BT)
    length = step.tokens_BT.shape[1]
    for ahead, (one, other) in enumerate(zip(with_registers, plain, strict=True), start=1):
        torch.testing.assert_close(one[:, : length - ahead], other[:, : length - ahead], rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_tokens_do_not_depend_on_registers_bit_for_bit() -> None:
    experiment = register_experiment()
    network, inputs = build(experiment), append_registers(step_of(experiment))
    before = hidden(network, inputs)
    assert network.mask is not None
    network.mask.mul_(100.0).add_(7.0)
    after = hidden(network, inputs._replace(positions_BS=inputs.positions_BS.flip(0)))
    length = experiment.task.length
    assert torch.equal(before[:, :, :length], after[:, :, :length])
    assert not torch.isclose(before[:, :, length:], after[:, :, length:]).all()


@pytest.mark.parametrize("task", ["induction", "star", "addition"])
def test_a_register_sees_tokens_up_to_its_own_and_itself(task: str) -> None:
    step = step_of(register_experiment(task))
    layout, mask_B1SS = draw_layout(step), append_registers(step).mask_B1SS
    length = step.tokens_BT.shape[1]
    for b, mask_SS in enumerate(mask_B1SS[:, 0]):
        for position, seen in enumerate(mask_SS.tolist()):
            last = position if position < length else int(layout.after_BR[b, position - length])
            assert [at for at, sees in enumerate(seen) if sees] == sorted({*range(last + 1), position})


@pytest.mark.parametrize("task", ["induction", "star", "addition", "agreement"])
def test_a_register_predicts_the_token_after_its_position(task: str) -> None:
    """Position t + d - 1 is that of the token before the target, so that a register shares its next-token path."""
    found = set[int]()
    for number in range(12):
        step = step_of(register_experiment(task), number)
        layout, inputs, length = draw_layout(step), append_registers(step), step.tokens_BT.shape[1]
        positions_BR = inputs.positions_BS[:, length:]
        targets_BR = add_register_targets(step).tokens[-1, :, : positions_BR.shape[1]]
        assert (inputs.tokens_BS[:, length:] == step.hidden_token).all()
        counted = targets_BR != IGNORE
        ahead_BR = positions_BR + 1 - layout.after_BR
        wanted_BR = step.tokens_BT.gather(1, (positions_BR + 1).clamp(max=length - 1))
        assert torch.equal(targets_BR[counted], wanted_BR[counted])
        found |= set(ahead_BR[counted].tolist())
        if step.longest_answer:
            begin_B1, end_B1 = step.answer_B2.split(1, dim=1)
            assert ((layout.after_BR >= begin_B1 - 1) & (positions_BR + 1 < end_B1))[counted].all()
    assert found == set(range(2 if step.longest_answer else 1, min(3, step.longest_answer or 3) + 1))


def test_every_register_is_used() -> None:
    for task in ("induction", "star", "addition", "maze"):
        used = torch.cat(
            [draw_layout(step_of(register_experiment(task, batch_size=16), number)).used_BR for number in range(20)]
        )
        assert used.any(0).all()


def test_offsets_are_drawn_by_seed_and_step() -> None:
    experiment = register_experiment(batch_size=16)
    drawn = [draw_layout(step_of(experiment, number)).ahead_B1 for number in (0, 0, 1)]
    drawn.append(draw_layout(step_of(lab.override(experiment, {"seed": 1}))).ahead_B1)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])


def test_a_window_of_one_targets_the_next_token() -> None:
    for task in ("induction", "star"):
        assert (draw_layout(step_of(register_experiment(task, objective__window=1))).ahead_B1 == 1).all()


def test_answers_of_one_token_have_no_room_for_registers() -> None:
    with pytest.raises(lab.LabError, match=r"window must be 1 with .* registers where answers have one token"):
        find_objective(register_experiment("modular"))
    find_objective(register_experiment("modular", objective__window=1))


@torch.no_grad()
def test_evaluation_uses_no_registers() -> None:
    experiment = register_experiment()
    network, evaluate = build(experiment), Evaluator(experiment)
    before = evaluate(network)
    assert network.mask is not None
    network.mask.fill_(9.0)
    assert evaluate(network) == before
