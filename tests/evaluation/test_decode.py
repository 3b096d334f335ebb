"""Decoding of runs: suitable prompts, heads that can draft, and metrics."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import lab
from lab.decoding import Completion, Drafts, Sampling, Tree, complete, derive_tree, speculate
from lab.decoding.calibration import rank_drafts
from lab.decoding.differences import Difference
from lab.evaluation import decode
from lab.evaluation.decode import calibrate, time_decoding
from lab.evaluation.drafts import END_WORDS, check_draft, draft_metrics, find_end_token, prompt_tokens
from lab.runs import Run
from tasks import TaskError
from tasks.stories.corpus.encoding import END, SPECIAL
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny


def make_untrained_run(path: Path, **changes: Any) -> Run:
    return make_run(path / "run", tiny(**{"n_future": 3, "model__layers": 5} | changes), weights=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_untrained_run(tmp_path_factory.mktemp("decode"))


def test_a_run_decodes_as_its_network_does(run: Run) -> None:
    found = lab.decode(run)
    batch = run.experiment.task.batch(0, 0, 8, "validation")
    alone = complete(run.model(), torch.from_numpy(batch.tokens[:, :3]), 9)
    assert torch.equal(found.completion.tokens_BT, alone.tokens_BT)
    assert found.differences == ()
    assert found.text[0][:3] == tuple(run.experiment.task.word(token) for token in batch.tokens[0, :3])


def test_metrics_have_the_names_of_the_field(run: Run) -> None:
    frame = lab.decode(run.path, draft=2).frame
    assert list(frame.columns[:4]) == ["run", "heads", "nodes", "batch"]
    assert set(frame[["heads", "nodes", "batch", "step"]].itertuples(index=False, name=None)) == {(2, 1, 8, 12)}
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    assert {"tokens_per_forward", "mean_acceptance_length", "acceptance/2", "acceptance_given_reached/all/2"} <= set(values)
    assert values["tokens_per_forward"] == values["new_tokens"] / values["forwards"]
    assert values["differences"] == 0
    assert values["smallest_gap"] > 0


def test_head_1_alone_takes_a_pass_for_each_token(run: Run) -> None:
    found = lab.decode(run, draft=1, prompts=2)
    assert found.tree is None
    assert set(found.frame["metric"]) == {"new_tokens", "forwards", "tokens_per_forward"}
    assert found.completion.tokens_per_forward == 1


def test_sampling_is_repeatable(run: Run) -> None:
    one, same, other = (lab.decode(run, sampling=Sampling(seed=seed)).completion.tokens_BT for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_kept_weights_are_chosen_by_step(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"checkpoint__keep": "every", "steps": 6, "evaluation__every": 3, "optimiser__peak_lr": 1.0}
    run = lab.train(tiny(**changes), tmp_path / "run")
    last, before = lab.decode(run), lab.decode(run, step=3)
    assert set(before.frame["step"]) == {3}
    assert before.frame["tokens"].max() < last.frame["tokens"].max()
    assert not torch.equal(before.completion.tokens_BT, last.completion.tokens_BT)
    with pytest.raises(lab.LabError, match="has no weights of step 4"):
        lab.decode(run, step=4)


def test_roles_are_those_of_the_written_tokens() -> None:
    """Two drafts of two tokens, written by hand, at positions to which a task gives roles."""

    class Roles:
        roles = ("padding", "plain", "choice")

        def roles_of(self, tokens_BT: np.ndarray) -> np.ndarray:
            return np.array([[0, 1, 1, 2, 2, 1], [0, 1, 1, 1, 2, 1]])

    tokens_BT = torch.zeros(2, 6, dtype=torch.int64)
    columns = [[0, 0, 1], [2, 5, 2], [2, 1, 2], [1, 1, 2]]
    drafts = Drafts(*(torch.tensor(column) for column in columns))
    done = Completion(tokens_BT, (1, 1), (6, 6), (3, 2), drafts)
    values = draft_metrics(done, Roles(), 3)  # type: ignore[arg-type]
    assert values == {
        "new_tokens": 10,
        "forwards": 5,
        "tokens_per_forward": 2,
        "mean_acceptance_length": (2 + 1 + 3) / 3,
        "drafted/2": 3,
        "accepted/2": 3,
        "acceptance/2": 1,
        "acceptance_given_reached/all/2": 1,
        "acceptance_given_reached/plain/2": 1,
        "drafted/3": 2,
        "accepted/3": 1,
        "acceptance/3": 0.5,
        "acceptance_given_reached/all/3": 0.5,
        "acceptance_given_reached/plain/3": 1,
        "acceptance_given_reached/choice/3": 0,
    }


def test_output_that_differs_from_head_1_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Completion:
        done = speculate(*arguments)
        done.tokens_BT[1, 5] = (done.tokens_BT[1, 5] + 1) % 12
        return replace(done, tokens_BT=done.tokens_BT)

    monkeypatch.setattr(decode, "speculate", wrong)
    found = lab.decode(run)
    logits_V = run.model().next_logits(lab.decode(run, draft=1).completion.tokens_BT[1:2, :5])[0]
    best, second = logits_V.topk(2).values.tolist()
    assert found.differences == (Difference(1, 5, pytest.approx(best - second, abs=1e-5)),)
    assert found.frame.set_index("metric")["value"]["differences"] == 1
    drawn = lab.decode(run, sampling=Sampling())
    assert drawn.differences == ()
    assert "differences" not in set(drawn.frame["metric"]), "samples are not those of head 1 alone"


def test_a_tree_is_derived_for_a_run(run: Run) -> None:
    """Not on the sequences on which drafts are measured, for which it would be the best tree in part by chance."""
    trees = []
    for split, index in (("validation", 1), ("validation", 0), ("test", 1)):
        written = complete(run.model(), prompt_tokens(run.experiment.task, 64, split, index), 9)
        trees.append(derive_tree(rank_drafts(run.model(), written), 12))
    tree = calibrate(run, nodes=12)
    assert tree == trees[0]
    assert tree not in trees[1:]
    assert len(tree.paths) == 12
    found = lab.decode(run, draft=tree)
    assert torch.equal(found.completion.tokens_BT, lab.decode(run, draft=1).completion.tokens_BT)
    assert set(found.frame["nodes"]) == {12}


def test_every_draft_and_batch_is_timed(run: Run) -> None:
    frame = time_decoding(run, drafts=[1, Tree.chain(3)], sequences=(1, 2), rounds=1)
    assert frame.groupby(["heads", "batch"])["metric"].apply(set).map(len).to_dict() == {
        (h, b): 3 for h in (1, 3) for b in (1, 2)
    }
    assert (frame["value"] > 0).all()


def test_prompts_of_ones_own_are_timed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be shorter than the held-out ones, and get more new tokens."""
    seen = []

    def record(network: Any, prompts: list[torch.Tensor], *rest: Any) -> Completion:
        seen.append([tokens.tolist() for tokens in prompts])
        return complete(network, prompts, *rest)

    monkeypatch.setattr(decode, "complete", record)
    time_decoding(run, drafts=[1], prompts=[[4], [2], [3]], sequences=(1, 2), new_tokens=11, rounds=1)
    assert set(map(str, seen)) == {"[[4]]", "[[4], [2]]"}
    with pytest.raises(lab.LabError, match=r"sequences must be batch sizes of at most the 1 prompts, not \[2\]"):
        time_decoding(run, prompts=[[4]], sequences=[2])


def test_the_speedup_is_the_median_ratio_to_head_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decoder runs once before it is timed, by a clock that each decoder advances."""
    now, alone, drafted = [0.0], iter([9.0, 4.0, 6.0, 9.0]), iter([9.0, 2.0, 2.0, 1.0])

    def slow_down(decoder: Any, seconds: Iterator[float]) -> Any:
        def decode_slowly(*arguments: Any) -> Completion:
            now[0] += next(seconds)
            return decoder(*arguments)

        return decode_slowly

    monkeypatch.setattr(decode, "complete", slow_down(complete, alone))
    monkeypatch.setattr(decode, "speculate", slow_down(speculate, drafted))
    monkeypatch.setattr(decode, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    values = time_decoding(run, drafts=[3], rounds=3).set_index("metric")["value"]
    assert (values["seconds"], values["speedup"]) == (2, 3)


def test_prompts_are_words_or_tokens(run: Run) -> None:
    found = lab.decode(run, prompts=["a b c", "e d"], new_tokens=2)
    assert found.text[0][:3] == ("a", "b", "c")
    assert [len(text) for text in found.text] == [5, 4]
    same = lab.decode(run, prompts=[[0, 1, 2], [4, 3]], new_tokens=2)
    assert torch.equal(found.completion.tokens_BT, same.completion.tokens_BT)


def test_prompts_of_a_task_with_answers_end_before_them() -> None:
    task = tiny("addition").task
    batch = task.batch(0, 0, 5, "test")
    prompts = prompt_tokens(task, 5, "test")
    assert [len(prompt) for prompt in prompts] == batch.answer[:, 0].tolist()
    assert task.word(int(find_end_token(task) or 0)) == "<end>"
    assert find_end_token(tiny().task) is None
    assert SPECIAL[END] in END_WORDS, "stories of a corpus end with it"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draft": 4}, r"heads must be between 1 and n_future = 3, not 4"),
        ({"draft": 0}, r"heads must be between 1 and n_future = 3, not 0"),
        ({"draft": Tree.chain(5)}, r"heads must be between 1 and n_future = 3, not 5"),
        ({"draft": 2.5}, r"heads must be a whole number, not 2\.5"),
        ({"prompts": 0}, "prompts must be at least 1, not 0"),
        ({"prompts": 2.5}, r"prompts must be a whole number, not 2\.5"),
        ({"prompts": 10**30}, "prompts must be at most 1000000000000, not 1000000000000000000000000000000"),
        ({"prompts": [1, 2]}, r"prompts must be words of the task, as 'a b c', or tokens, as \[1, 2, 3\], not 1"),
        ({"prompts": [["a", "b"]]}, r"prompts must be words of the task, .*, not \['a', 'b'\]"),
        ({"prompts": [[1.5]]}, r"prompts must be words of the task, .*, not \[1\.5\]"),
        ({"prompts": []}, "prompts must hold at least one prompt"),
        ({"prompts": "abc"}, r"prompts must be a list of prompts, as \['abc'\], not a text"),
        ({"prompts": [""]}, "prompts must have 1 to 11 tokens of induction; prompt 0 has 0"),
        ({"prompts": ["a", "a b c d e f g h i j k l"]}, "prompts must have 1 to 11 tokens of induction; prompt 1 has 12"),
        ({"new_tokens": 1.5}, r"new_tokens must be a whole number, not 1\.5"),
        ({"new_tokens": 0}, "new_tokens must be between 1 and 9, the rest of the 12 of induction, not 0"),
        ({"new_tokens": 10}, "new_tokens must be between 1 and 9, the rest of the 12 of induction, not 10"),
    ],
)
def test_wrong_calls_are_rejected(run: Run, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        lab.decode(run, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"rounds": 2.5}, r"rounds must be a whole number, not 2\.5"),
        ({"sequences": ()}, r"sequences must be a list of batch sizes, not \(\)"),
        ({"sequences": 2}, "sequences must be a list of batch sizes, not 2"),
        ({"sequences": (1, 0)}, "sequences must be at least 1, not 0"),
        ({"drafts": []}, r"drafts must be a list of heads or trees, not \[\]"),
        ({"drafts": 2}, "drafts must be a list of heads or trees, not 2"),
    ],
)
def test_wrong_timings_are_rejected(run: Run, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(lab.LabError, match=message):
        time_decoding(run, **arguments)


def test_unknown_words_are_rejected(run: Run) -> None:
    with pytest.raises(TaskError, match="induction has no word 'zebra'"):
        lab.decode(run, prompts=["a zebra"])


@pytest.mark.parametrize(
    ("changes", "heads", "message"),
    [
        ({"objective__name": "bag"}, 3, "heads must be 1 with objective.name bag"),
        ({"objective__name": "order"}, 2, "heads must be 1 with objective.name order"),
        ({"objective__name": "shuffled"}, 2, "heads must be 1 with objective.name shuffled"),
        ({"objective__name": "future_bag"}, 2, "heads must be 1 with objective.name future_bag"),
        ({"objective__name": "tests.helpers.users_objective:backwards"}, 2, "heads must be 1 with objective.name tests"),
        (
            {"objective__terms": [{"head": 1}, {"head": 2}, {"head": 3, "ahead": 1}]},
            3,
            r"heads must be below 3, which objective\.terms do not train on token t \+ 3",
        ),
        ({"objective__weights": "far"}, 3, "heads must be below 2, whose loss has weight 0"),
        ({"objective__weights": [1.0, 1.0, 0.0]}, 3, "heads must be below 3, whose loss has weight 0"),
        ({"objective__extra_weight": 0.0, "objective__detached": True}, 3, "heads must be below 2, whose loss has weight 0"),
    ],
)
def test_untrained_drafts_are_rejected(changes: dict[str, Any], heads: int, message: str, tmp_path: Path) -> None:
    run = make_untrained_run(tmp_path, **changes)
    with pytest.raises(lab.LabError, match=message):
        check_draft(run, heads)
    assert check_draft(run, 1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"objective__detached": True},
        {"objective__active": "down", "steps": 4},
        {"objective__name": "headless"},
        {"objective__name": "registers"},
        {"objective__name": "next_latent"},
        {"objective__terms": [{"head": 1}, {"head": 2, "target": "copy"}, {"head": 2, "ahead": 1}, {"head": 3}]},
    ],
)
def test_trained_drafts_are_accepted(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert check_draft(make_untrained_run(tmp_path, **changes), 3) == Tree.chain(3)


def test_runs_that_cannot_decode_are_rejected(tmp_path: Path) -> None:
    run = make_untrained_run(tmp_path, task="addition", n_future=1, objective__teacherless=True)
    with pytest.raises(lab.LabError, match=r"objective\.teacherless must be false to decode"):
        lab.decode(run)
    run = make_untrained_run(tmp_path / "other")
    run.record["state"] = "stopped"
    with pytest.raises(lab.LabError, match="must be finished to decode, not stopped"):
        lab.decode(run)
