"""Attention weights of sequences, compared with attention computed by hand."""

import pytest
import torch

import tasks
from lab.errors import LabError
from lab.interp.attention import HIDDEN, attention
from lab.model import Network, build
from lab.model.attention import attention_pattern
from lab.model.kernels import apply_rope
from tests.helpers.tiny import tiny


def first_pattern(network: Network, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Compute the pattern of the first layer, (B, H, T, T)."""
    layer = network.trunk[0]
    qkv = layer.attention.qkv(layer.attention_norm(network.embedding(tokens_BT))).unflatten(-1, (3, 2, -1))
    queries, keys = (
        apply_rope(qkv[:, :, :2], network.rope(None, tokens_BT.shape[1], tokens_BT.device)).transpose(1, 3).unbind(2)
    )
    return attention_pattern(queries, keys).detach()


def test_weights_words_and_roles_match_the_sequences() -> None:
    network, task = build(tiny("agreement")), tasks.get("agreement")
    table = attention(network, task, sequences=3, split="test", seed=4)
    batch = task.batch(4, 0, 3, "test")
    expected = first_pattern(network, torch.from_numpy(batch.tokens))
    rows = table[(table["site"] == "trunk.0.attention.pattern") & (table["attention_head"] == 1)]
    assert len(rows) == 3 * task.length * (task.length + 1) / 2
    for row in rows.itertuples():
        assert row.value == pytest.approx(float(expected[row.sequence, 1, row.query, row.key]), abs=1e-5)
        assert row.query_word == task.word(int(batch.tokens[row.sequence, row.query]))
        assert row.key_word == task.word(int(batch.tokens[row.sequence, row.key]))
        assert row.key_role == task.roles[batch.roles[row.sequence, row.key]]
    sums = table.groupby(["sequence", "site", "attention_head", "query"])["value"].sum()
    assert sums.to_numpy() == pytest.approx(1, abs=2e-4)
    assert set(table["site"]) == {f"{name}.attention.pattern" for name in ("trunk.0", "prediction.1", "prediction.2")}


def test_padding_and_late_positions_are_left_out() -> None:
    task = tasks.get("maze")
    network = build(tiny("maze"))
    ends = task.batch(0, 0, 16, "validation").answer[:, 1]
    assert len(set(ends)) > 1, "the sequences differ in length"
    table = attention(network, task, sequences=16, positions=1000)
    assert (table.groupby("sequence")["query"].max() + 1).tolist() == ends.tolist()
    assert attention(network, task, sequences=1, positions=5)["query"].max() == 4
    with pytest.raises(LabError, match="positions must be at least 1, not 0"):
        attention(network, task, positions=0)


def test_hidden_answers_have_no_word() -> None:
    experiment = tiny("star", n_future=1, objective__teacherless=True)
    table = attention(build(experiment), experiment.task, sequences=2)
    words = table[table["query"] == table["key"]].drop_duplicates(["sequence", "query"])
    answer = experiment.task.batch(0, 0, 2, "validation").answer
    assert (words["query_word"] == HIDDEN).sum() == (answer[:, 1] - answer[:, 0]).sum()
