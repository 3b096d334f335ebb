"""Probes by offset of networks whose states have later tokens planted in them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import tasks
from lab.errors import LabError
from lab.interp.offsets import offsets
from lab.interp.probe import probe
from lab.model import Network, build, edited
from tests.helpers.tiny import tiny

MARKOV = {"task.states": 4, "task.length": 16, "model.width": 16}
CONTROLS = {"none", "shuffled labels", "untrained network", "majority"}


def markov() -> tuple[Network, tasks.Task]:
    experiment = tiny("markov", **MARKOV)
    return build(experiment), experiment.task


def batches(task: tasks.Task, size: int) -> Iterator[tasks.Batch]:
    """Yield the sequences of the fit, then those that are scored."""
    for split in ("train", "validation"):
        yield task.batch(0, 0, size, split)


def plant(codes: Iterator[NDArray[np.int64]], width: int) -> dict[str, object]:
    """Return an edit that adds a code to each state after the first layer; -1 sets the state to 0."""

    def edit(states_BTD: torch.Tensor) -> torch.Tensor:
        code_BT = torch.from_numpy(next(codes))
        coded = torch.nn.functional.one_hot(code_BT.clamp(min=0), width) * (code_BT >= 0)[..., None]
        return states_BTD * (code_BT >= 0)[..., None] + 9 * coded

    return {"trunk.0.residual": edit}


def score(frame: pd.DataFrame, offset: int, control: str = "none", site: str = "trunk.0.residual") -> float:
    rows = frame[(frame["offset"] == offset) & (frame["control"] == control) & (frame["site"] == site)]
    return float(rows["value"].item())


@pytest.mark.parametrize("planted", [1, 3])
def test_a_planted_token_is_read_at_its_offset_alone(planted: int) -> None:
    network, task = markov()
    codes = (np.pad(batch.tokens[:, planted:], ((0, 0), (0, planted))) for batch in batches(task, 200))
    with edited(network, plant(codes, 16)):  # type: ignore[arg-type]
        frame = offsets(network, task, ahead=4, sequences=200)
    assert score(frame, planted) == 1
    assert all(score(frame, other) < 0.9 for other in {1, 2, 3, 4} - {planted})
    assert score(frame, planted, "untrained network") < 0.9
    assert score(frame, planted, "shuffled labels") < 0.5
    assert score(frame, planted, site="embedding") < 0.9
    assert set(frame["control"]) == CONTROLS


def test_the_states_are_those_before_a_scored_token() -> None:
    """Agreement scores the answer alone: other states carry no code here, and are in no probe."""
    experiment = tiny("agreement", **{"task.loss_on": "answer", "model.width": 48})
    network, task = build(experiment), experiment.task
    scored = task.batch(0, 0, 4).scored
    assert scored.any()
    assert not scored.all()

    def codes() -> Iterator[NDArray[np.int64]]:
        for batch in batches(task, 200):
            ahead = np.pad(batch.tokens[:, 1:], ((0, 0), (0, 1)))
            before = np.pad(batch.scored[:, 1:], ((0, 0), (0, 1)))
            yield np.where(before, ahead, -1)

    with edited(network, plant(codes(), task.vocab_size)):  # type: ignore[arg-type]
        frame = offsets(network, task, sequences=200)
    assert score(frame, 1) == 1


def test_a_role_selects_the_states() -> None:
    experiment = tiny("agreement")
    network, task = build(experiment), experiment.task
    frame = offsets(network, task, role="case_first", sequences=128)
    assert set(frame["offset"]) == {1, 2}, "the case and the verb, and nothing after it"
    same = probe(network, task, pool="role", targets="token t+1,token t+2", sequences=128)
    same = same[(same["role"] == "case_first") & (same["control"] == "none")]
    own = frame[frame["control"] == "none"]
    assert sorted(own["value"]) == pytest.approx(sorted(same["value"]))
    with pytest.raises(LabError, match="role: agreement has no 'cases'; did you mean 'case_first'"):
        offsets(network, task, role="cases")


def test_offsets_beyond_a_sequence_are_left_out() -> None:
    network, task = markov()
    frame = offsets(network, task, ahead=99, sequences=32)
    assert set(frame["offset"]) == set(range(1, 16)), "a sequence has 16 tokens"
    with pytest.raises(LabError, match="ahead must be at least 1, not 0"):
        offsets(network, task, ahead=0)
