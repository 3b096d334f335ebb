"""Probes of networks in which the content of each state is known."""

import numpy as np
import pandas as pd
import pytest
import torch

import tasks
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.interp.probe import probe, probe_targets, untrained
from lab.interp.residual import residual_sites
from lab.model import Network, build, edited
from tests.helpers.tiny import tiny

AGREEMENT = {"task.pairs": 2, "task.keys": 8, "task.verbs": 8, "task.cases": 4, "task.stems": 3}
ROLES = ("prompt", "stem", "case_first", "verb")


def agreement(**changes: object) -> tuple[Network, tasks.Task]:
    """Return an untrained network of agreement: key verb key verb key | stem case verb."""
    experiment = tiny("agreement", **AGREEMENT, **{"model.width": 32, **changes})
    return build(experiment), experiment.task


def scores(frame: pd.DataFrame, control: str = "none", **chosen: object) -> pd.Series:
    """Return the scores of the rows of a frame that have these values."""
    rows = frame[frame["control"] == control]
    for name, value in chosen.items():
        rows = rows[rows[name] == value]
    return rows["value"]


def test_the_embedding_encodes_its_own_token_and_no_other() -> None:
    network, task = agreement()
    frame = probe(network, task, targets="token t+1,verb,case")
    embedding = frame[frame["site"] == "embedding"]
    assert scores(embedding, target="verb", position=7).item() == 1  # the verb itself
    assert scores(embedding, target="case", position=6).item() == 1  # the case itself
    assert scores(embedding, target="case", position=7).item() == 1  # the verb determines it
    assert scores(embedding, target="verb", position=4).item() == pytest.approx(1 / 8, abs=0.05)
    assert scores(embedding, target="token t+1", position=0).item() == pytest.approx(1 / 8, abs=0.05)


def test_a_planted_latent_is_read_where_it_is_planted() -> None:
    network, task = agreement()
    verbs = [task.latents(task.batch(0, 0, 200, split))["verb"][:, 4] for split in ("train", "validation")]
    passes = iter(verbs)

    def plant(states_BTD: torch.Tensor) -> torch.Tensor:
        planted = states_BTD.clone()
        planted[:, 4] += 9 * torch.nn.functional.one_hot(torch.from_numpy(next(passes)), 32)
        return planted

    with edited(network, {"trunk.0.residual": plant}):
        frame = probe(network, task, targets="verb", sequences=200, positions="4,5")
    at_key = frame[frame["position"] == 4]
    assert scores(at_key, site="trunk.0.residual").item() == 1
    assert scores(at_key, site="prediction.2.residual").item() > 0.9
    assert scores(at_key, site="embedding").item() < 0.4
    assert (scores(at_key, "untrained network") < 0.6).all()
    assert (scores(at_key, "shuffled labels") < 0.4).all()
    assert scores(frame, site="trunk.0.residual", position=5).item() < 0.4


def test_controls_are_near_chance_and_share_the_states() -> None:
    network, task = agreement()
    frame = probe(network, task, targets="verb", positions="7")
    assert (scores(frame, "none") == 1).all()
    assert (scores(frame, "untrained network") == 1).all()  # at initial weights a state still holds its own token
    assert (abs(scores(frame, "shuffled labels") - 1 / 8) < 0.06).all()
    assert scores(frame, "majority").nunique() == 1
    assert abs(scores(frame, "majority").iloc[0] - 1 / 8) < 0.05
    assert set(frame["control"].value_counts()) == {len(residual_sites(network))}


def test_the_untrained_network_depends_on_the_seed_alone() -> None:
    network, task = agreement()
    first = untrained(network, 3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = untrained(network, 3)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))
    frame = probe(network, task, targets="verb", positions="7")
    assert (scores(frame, "none").to_numpy() == scores(frame, "majority").to_numpy()).all()  # all states are 0
    assert (scores(frame, "untrained network") == 1).all()


def test_targets_are_later_tokens_and_latents() -> None:
    task = tasks.get("agreement")
    batch = task.batch(0, 0, 16)
    found = probe_targets(task, batch, ahead=3)
    assert list(found) == [*task.latents(batch), "token t+1", "token t+2", "token t+3"]
    np.testing.assert_array_equal(found["token t+2"][:, :-2], batch.tokens[:, 2:])
    assert (found["token t+2"][:, -2:] == -1).all()


def test_padding_is_no_target() -> None:
    task = tasks.get("addition", digits=[1, 3], test_digits=None)
    batch = task.batch(0, 0, 64)
    found = probe_targets(task, batch, ahead=1)["token t+1"]
    padded = batch.roles[:, 1:] == 0
    assert padded.any()
    np.testing.assert_array_equal(found[:, :-1] == -1, padded)


def test_a_target_is_probed_where_the_prefix_determines_it() -> None:
    network, task = agreement()
    frame = probe(network, task, sequences=64)
    assert set(frame.loc[frame["target"] == "verb", "position"]) == {4, 5, 6, 7}
    assert set(frame.loc[frame["target"] == "token t+2", "position"]) == set(range(6))
    roles = dict(zip(frame["position"], frame["role"], strict=True))
    assert roles == {0: "prompt", 1: "prompt", 2: "prompt", 3: "prompt", 4: "stem", 5: "case_first", 6: "verb", 7: ""}


def test_positions_are_pooled_by_the_role_of_the_next_token() -> None:
    network, task = agreement()
    pooled = probe(network, task, pool="role", sequences=256, targets="case,token t+1")
    assert set(pooled["position"]) == {"all"}
    assert set(pooled["role"]) == {*ROLES}
    single = probe(network, task, sequences=256, targets="case", positions="5")
    same = pooled[(pooled["role"] == "case_first") & (pooled["target"] == "case")]
    kept = same["control"] != "shuffled labels"
    np.testing.assert_array_equal(same.loc[kept, "value"].to_numpy(), single.loc[kept.to_numpy(), "value"].to_numpy())


def test_vectors_are_scored_by_r_squared() -> None:
    experiment = tiny("markov", **{"task.states": 3, "task.length": 12, "model.width": 16})
    frame = probe(build(experiment), experiment.task, sequences=512, ahead=1)
    assert set(frame.loc[frame["target"] == "transition row", "score"]) == {"R2"}
    assert set(frame.loc[frame["target"] == "token t+1", "score"]) == {"accuracy"}
    vectors = frame[frame["target"] == "transition row"]
    assert scores(vectors, "majority").between(-0.05, 0).all()
    assert scores(vectors).between(-0.1, 1).all()


@pytest.mark.parametrize("process", ["mess3", "rrxor"])
@pytest.mark.parametrize("holds", ["a linear map of the belief", "noise"])
def test_a_belief_is_read_from_states_that_encode_it(process: str, holds: str) -> None:
    experiment = tiny("belief", **{"task.process": process, "task.length": 32, "model.width": 16})
    network, task = build(experiment), experiment.task
    beliefs = iter([task.latents(task.batch(0, 0, 200, split))["belief"] for split in ("train", "validation")])
    generator = torch.Generator().manual_seed(0)

    def plant(states_BTD: torch.Tensor) -> torch.Tensor:
        belief_BTK = torch.from_numpy(next(beliefs)).float()
        matrix_KD = torch.randn(belief_BTK.shape[-1], 16, generator=torch.Generator().manual_seed(1))
        return belief_BTK @ matrix_KD + 3 if holds != "noise" else torch.randn(states_BTD.shape, generator=generator)

    with edited(network, {"trunk.0.residual": plant}):
        frame = probe(network, task, targets="belief", pool="scored", sequences=200)
    assert set(frame["score"]) == {"R2"}
    assert set(frame["position"]) == {"all"}
    value, floor = (scores(frame, control, site="trunk.0.residual").item() for control in ("none", "shuffled labels"))
    assert value == pytest.approx(0 if holds == "noise" else 1, abs=0.02)
    assert floor == pytest.approx(0, abs=0.02)
    assert scores(frame, "majority").to_numpy() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("heads", KINDS)
def test_every_kind_of_heads_is_probed(heads: str) -> None:
    network, task = agreement(model__heads=heads, n_future=2, model__layers=6)
    frame = probe(network, task, sequences=32, ahead=1, positions="5")
    sites = set(frame["site"])
    assert {"embedding", "trunk.0.residual", "prediction.1.residual"} <= sites
    assert ("prediction.2.residual" in sites) != network.spec.kind.teacher_forced


def test_a_teacherless_network_is_probed_with_answers_hidden() -> None:
    experiment = tiny("star", objective__teacherless=True, n_future=1)
    frame = probe(build(experiment), experiment.task, sequences=64, ahead=1)
    answer = frame[(frame["site"] == "embedding") & (frame["position"] == experiment.task.length - 2)]
    hidden = scores(answer, "none", target="token t+1")
    assert (hidden.to_numpy() == scores(answer, "majority", target="token t+1").to_numpy()).all()


def test_targets_named_twice_are_probed_once() -> None:
    network, task = agreement()
    once, twice = (
        probe(network, task, sequences=32, targets=targets, positions=positions)
        for targets, positions in (("verb", "6,4"), ("verb,verb", "6,4,6"))
    )
    pd.testing.assert_frame_equal(once, twice)


def test_bad_options_are_named() -> None:
    network, task = agreement()
    for options, message in (
        ({"split": "train"}, "split must be validation or test, not 'train'"),
        ({"targets": "verbs"}, "targets has no 'verbs'; did you mean 'verb'"),
        ({"positions": "8"}, "positions must be numbers from 0 to 7, separated by commas, not '8'"),
        ({"positions": "key"}, "positions must be numbers from 0 to 7"),
        ({"ahead": -1}, "ahead must be at least 0, not -1"),
        ({"pool": "roles"}, "pool must be position, role or scored, not 'roles'"),
        ({"sequences": 4}, "sequences must be larger than 4"),
    ):
        with pytest.raises(LabError, match=message):
            probe(network, task, **{"sequences": 16, **options})  # type: ignore[arg-type]
