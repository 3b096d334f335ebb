from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lab
import tasks
from lab.config import Experiment
from lab.model import Context, Network
from lab.reproduce import agreement
from lab.reproduce.plateau.plan import condition_of
from lab.sweeping import Sweep
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.runs import make_run

pytestmark = pytest.mark.process  # seconds each

PLATEAU, STUDY = agreement.PLATEAU, agreement.STUDY
BEST = 4e-3
"""The rate that is best in the tuning runs below."""


def curve(experiment: Experiment, escape_at: int | None, end: float = 0.99) -> dict[int, dict[str, float]]:
    """Return a curve whose accuracy on the case jumps at a step; the accuracy of head 2 is high from the start."""
    steps = range(0, experiment.steps + 1, 500)
    values = {step: 0.41 if escape_at is None or step < escape_at else end for step in steps}
    of_head_2 = {PLATEAU.stepping_stone: 0.99} if experiment.n_future == 2 else {}
    return {step: {PLATEAU.metric: value, **of_head_2} for step, value in values.items()}


def write_tuning_runs(folder: Path) -> list[lab.Run]:
    first, _ = STUDY.stages("laptop")
    return [
        make_run(folder / name, each, curve(each, 500, 0.8 if each.optimiser.peak_lr == BEST else 0.5))
        for name, each in grid_experiments(first.largest).items()
    ]


def main_sweep(runs: list[lab.Run]) -> Sweep:
    _, main = STUDY.stages("laptop")
    return main.plan(runs) if runs else main.largest


def test_n_1_alone_selects_the_rate_on_other_data(tmp_path: Path) -> None:
    runs = write_tuning_runs(tmp_path)
    tuning, planned = [run.experiment for run in runs], grid_experiments(main_sweep(runs))
    assert {each.n_future for each in tuning} == {1}
    assert {each.evaluation.split for each in tuning} == {"validation"}
    assert {each.optimiser.peak_lr for each in planned.values()} == {BEST}
    assert {each.evaluation.split for each in planned.values()} == {"test"}
    assert not {each.seed for each in tuning} & {each.seed for each in planned.values()}


def test_conditions_share_seeds_and_all_other_settings() -> None:
    planned = grid_experiments(main_sweep([]))
    assert len(planned) == 7 * 8
    plain = planned["n1-seed200"]
    for name, experiment in planned.items():
        assert lab.override(plain, {**PLATEAU.conditions[condition_of(PLATEAU, name)], "seed": experiment.seed}) == experiment
    assert planned["n1-depth-of-n2-seed200"].trunk_layers == planned["n2-seed200"].trunk_layers


def test_a_family_is_compared_within_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_SEQUENCES", 16)  # the networks are untrained
    tuning, runs = write_tuning_runs(tmp_path / "tuning"), []
    for name, experiment in grid_experiments(main_sweep(tuning)).items():
        escape = 500 if "verb" in name else 1000 if name.startswith("n2-seed") else None
        runs.append(make_run(tmp_path / "runs" / name, experiment, curve(experiment, escape), weights=True))
    written = STUDY.report("laptop", [tuning, runs], tmp_path)
    assert {path.name for path in written} == {
        "survival.png", "survival.csv", "emergence.png", "emergence.csv", "survival-verb-first.png", "survival-verb-first.csv",
        "emergence-verb-first.png", "emergence-verb-first.csv", "frame.csv.gz", "report.md", "patching.csv", "rates.csv",
    }  # fmt: skip
    page = (tmp_path / "report.md").read_text()
    assert "| n = 2 | 8 of 8 [0.69, 1.00] | 8 of 8 [0.69, 1.00] | 0.990 [0.990, 0.990]" in page
    assert "| n = 1 | 0 of 8 [0.00, 0.31] | 0 of 8 [0.00, 0.31] |" in page
    assert "| n = 2, verb first | 8 of 8 [0.69, 1.00] | 8 of 8" in page
    assert page.count("Escape from the plateau") == 2
    assert page.count("against n = 1, verb first") == 1
    assert "| 0.004 | 0.8 | 0.8 0.8 |" in page
    assert page.count("| n = 2, detached | 2 |") == 1, "the trunk has two layers"
    question = pd.read_csv(tmp_path / "survival.csv").groupby("condition")["share"].last().to_dict()
    control = pd.read_csv(tmp_path / "survival-verb-first.csv").groupby("condition")["share"].last().to_dict()
    assert set(question) == set(PLATEAU.families[""])
    assert (question["n = 1"], question["n = 2"]) == (1, 0)
    assert control == {"n = 1, verb first": 0, "n = 2, verb first": 0}


def test_the_other_glossary_differs_in_one_verb_and_case() -> None:
    task = tasks.get("agreement", words=1, keys=8, verbs=16, cases=8)
    tokens = task.batch(0, 0, 64, "test").tokens
    others = agreement.other_glossary(task, tokens)
    index_B, position_B = np.nonzero(tokens != others)
    assert index_B.tolist() == list(range(64))
    assert (tokens[index_B, position_B - 1] == tokens[:, 2 * task.pairs]).all(), "the verb follows the key of the prompt"
    verb_B, other_B = (each[index_B, position_B] - task.keys for each in (tokens, others))
    assert (task.lexicon[verb_B] != task.lexicon[other_B]).all()
    assert len(set(other_B)) > 8


@dataclass(frozen=True)
class RunOfNetwork:
    """A run with a given network."""

    experiment: Experiment
    network: Any

    def model(self) -> Any:
        return self.network


class Oracle(Network):
    """A trunk of one layer that predicts the case of the queried verb, which it reads at the key or where the case is due."""

    def __init__(self, task: Any, *, at_the_key: bool) -> None:
        nn.Module.__init__(self)
        self.task, self.at_the_key = task, at_the_key
        self.sites, self.embedding, self.trunk = None, nn.Embedding(1, 1), nn.ModuleList([nn.Identity()])

    def find_verb(self, tokens: torch.Tensor) -> torch.Tensor:
        key = 2 * self.task.pairs
        meant = (tokens[:, 0:key:2] == tokens[:, key, None]).int().argmax(1)
        return tokens[torch.arange(len(tokens)), 2 * meant + 1]

    def forward(self, tokens_BT: torch.Tensor, heads: Any = None, context: Any = None) -> torch.Tensor:
        key, context = 2 * self.task.pairs, Context(sites=self.sites)
        states = context.visit("embedding", tokens_BT.expand(-1, self.task.length)).clone()
        if self.at_the_key:
            states[:, key] = self.find_verb(states)
        states = context.visit("trunk.0.residual", states)
        verb = states[:, key] if self.at_the_key else self.find_verb(states)
        case = self.task.keys + self.task.verbs + self.task.stems + torch.tensor(self.task.lexicon)[verb - self.task.keys]
        return F.one_hot(case, self.task.vocab_size)[None, :, None].expand(-1, -1, self.task.length, -1).float()

    def unembed(self, hidden_BTD: torch.Tensor, head: int) -> torch.Tensor:
        return hidden_BTD


@pytest.mark.parametrize("at_the_key", [True, False])
def test_patching_finds_what_the_key_encodes(at_the_key: bool) -> None:
    experiment = grid_experiments(main_sweep([]))["n2-seed200"]
    shares = agreement.patch_key(cast(lab.Run, RunOfNetwork(experiment, Oracle(experiment.task, at_the_key=at_the_key))))
    assert shares["layers"].tolist() == [0, 1]
    assert list(zip(shares["own"], shares["other"], strict=True)) == [(1.0, 0.0), (0.0, 1.0) if at_the_key else (1.0, 0.0)]
