"""A run that is exported and imported is the same run; imported Llamas of others work with every instrument."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.cli.main import main
from lab.errors import LabError
from lab.inspection.instruments import INSTRUMENTS
from lab.model import Network
from lab.model.convert import llama_config, release_params
from lab.model.layouts import MTP_LLAMA, RELEASE, to_layout
from lab.runs.tensors import save_tensors
from tests.helpers.llamas import tiny_llama
from tests.helpers.networks import random_tokens, tiny_network
from tests.helpers.rejection import assert_rejected
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

pytest.importorskip("transformers")

TASK = ["--task", "induction", "--vocabulary", "12", "--period", "[3,5]", "--task.length", "12"]


def assert_same(network: Network, other: Network) -> None:
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


@pytest.mark.parametrize("n_future", [1, 2, 4])
def test_export_and_import_restore_a_run_bit_for_bit(n_future: int, tmp_path: Path) -> None:
    experiment = tiny(n_future=n_future, model__layers=6, model__rope_base=300.0, model__inner_width=20)
    run = make_run(tmp_path / "run", experiment, weights=True)
    again = lab.import_llama(lab.export(run, tmp_path / "hf"), tmp_path / "again")
    assert_same(run.model(), again.model())
    assert_same(run.model(), lab.read_llama(tmp_path / "hf"))
    assert (again.experiment.task, again.experiment.model) == (experiment.task, experiment.model)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tmp_path / "run" / "model.safetensors").read_bytes()


def test_a_path_of_other_heads_is_imported_as_parallel(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tiny(model__heads="anticausal"), weights=True)
    again = lab.import_llama(lab.export(run, tmp_path / "hf", heads=1), tmp_path / "again")
    tokens_BT = random_tokens()
    with torch.no_grad():
        assert torch.equal(run.model().logits(tokens_BT), again.model().logits(tokens_BT))


@pytest.mark.parametrize(
    "changes",
    [{}, {"tie_word_embeddings": True}, {"num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5}],
    ids=str,
)
@pytest.mark.parametrize("shards", ["1GB", "3KB"], ids=["whole", "shards"])
def test_a_llama_of_transformers_becomes_a_run(changes: dict[str, Any], shards: str, tmp_path: Path) -> None:
    llama = tiny_llama(**changes)
    llama.save_pretrained(tmp_path / "llama", max_shard_size=shards)
    assert (tmp_path / "llama" / "model.safetensors.index.json").exists() == (shards == "3KB")
    run = lab.import_llama(tmp_path / "llama", tmp_path / "run", tiny().task)
    tokens_BT = random_tokens()
    with torch.no_grad():
        torch.testing.assert_close(run.model().logits(tokens_BT), llama(tokens_BT).logits, rtol=1e-5, atol=1e-5)
    assert run.state == "finished"
    assert run.record["imported"] == str(tmp_path / "llama")
    frame, measured = run.frame(), lab.evaluate(run)
    assert set(frame["step"]) == {1}
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    assert all(values[name] == value for name, value in zip(measured["metric"], measured["value"], strict=True))
    assert len(lab.decode(run, draft=1, prompts=2).text) == 2


def test_every_instrument_measures_an_imported_run(tmp_path: Path) -> None:
    task = tiny("agreement").task
    tiny_llama(vocab_size=task.vocab_size).save_pretrained(tmp_path / "llama")
    run = lab.import_llama(tmp_path / "llama", tmp_path / "run", task)
    for name in INSTRUMENTS:
        assert len(lab.inspect(name, run, sequences=8))


def test_weights_of_half_precision_become_float32(tmp_path: Path) -> None:
    llama = tiny_llama().to(torch.bfloat16)
    llama.save_pretrained(tmp_path / "llama")
    network = lab.read_llama(tmp_path / "llama")
    assert network.embedding.weight.dtype == torch.float32
    assert torch.equal(network.embedding.weight, llama.model.embed_tokens.weight.float())


@pytest.mark.parametrize("torch_s", [False, True], ids=["safetensors", "pth"])
def test_a_release_of_the_paper_becomes_a_run(torch_s: bool, tmp_path: Path) -> None:
    network, folder = tiny_network("parallel", 4), tmp_path / "7B_200B_4"
    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(release_params(network, 4)))
    weights = to_layout(network, RELEASE, 4)
    if torch_s:
        torch.save(weights, folder / "consolidated.pth")
    else:
        save_tensors(weights, folder / "consolidated.safetensors")
    assert_same(network, lab.read_llama(folder))
    assert lab.import_llama(folder, tmp_path / "run", tiny().task).experiment.n_future == 4


def test_an_mtp_llama_becomes_a_run(tmp_path: Path) -> None:
    network = tiny_network("parallel", 2)
    weights = to_layout(network, MTP_LLAMA, 2)
    weights |= {f"model.mtp_norms.{number}.weight": network.norm.weight.detach() * (number + 1) for number in range(2)}
    save_tensors(weights, tmp_path / "model.safetensors")
    config = llama_config(network) | {"model_type": "mtp_llama", "prediction_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    run = lab.import_llama(tmp_path, tmp_path / "run", tiny().task)
    assert (run.experiment.model.heads, run.experiment.n_future) == ("replicated", 2)
    tokens_BT = random_tokens()
    with torch.no_grad():
        for head in (1, 2):
            expected = head * network.logits(tokens_BT, head)
            torch.testing.assert_close(run.model().logits(tokens_BT, head), expected, rtol=1e-5, atol=1e-5)


def test_the_command_imports_with_settings_of_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_llama().save_pretrained(tmp_path / "llama")
    assert main(["import", str(tmp_path / "llama"), "-o", str(tmp_path / "run"), *TASK]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'run'}: accuracy/copy/1 0.")
    assert lab.Run(tmp_path / "run").experiment.task.length == 12


CONFIG, WEIGHTS = Path("llama/config.json"), Path("llama/model.safetensors")


def edit(path: Path, **changes: Any) -> None:
    """Change values of a JSON file; `None` removes one."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def write_index_of_another_folder() -> None:
    WEIGHTS.unlink()
    WEIGHTS.with_suffix(".safetensors.index.json").write_text('{"weight_map": {"a": "../b"}}')


def add_heads_without_weights() -> None:
    Path("llama/original").mkdir()
    Path("llama/original/params.json").write_text('{"n_future_tokens": 2}')


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "no folder": (lambda: shutil.rmtree("llama"), "llama: no such folder"),
    "no Llama": (CONFIG.unlink, "not a Llama (it holds neither config.json nor params.json)"),
    "config cut short": (lambda: CONFIG.write_text("{"), "llama/config.json: not JSON"),
    "config a list": (lambda: CONFIG.write_text("[]"), "llama/config.json: must hold a mapping"),
    "another model": (lambda: edit(CONFIG, model_type="gpt2"), "must be llama or mtp_llama, not 'gpt2'"),
    "no width": (lambda: edit(CONFIG, hidden_size=None), "hidden_size of the Llama must be a whole number"),
    "biases": (lambda: edit(CONFIG, attention_bias=True), "attention_bias of the Llama must be False"),
    "scaled positions": (
        lambda: edit(CONFIG, rope_parameters={"rope_type": "llama3", "rope_theta": 1e4}),
        "rope_type of the Llama must be default, not llama3",
    ),
    "older scaled positions": (
        lambda: edit(CONFIG, rope_parameters=None, rope_scaling={"type": "linear", "factor": 2.0}),
        "rope_type of the Llama must be default, not linear",
    ),
    "no weights": (WEIGHTS.unlink, "llama/model.safetensors: no such file"),
    "damaged weights": (
        lambda: WEIGHTS.write_bytes(WEIGHTS.read_bytes()[:-5]),
        "llama/model.safetensors: not a whole safetensors file",
    ),
    "fewer layers": (lambda: edit(CONFIG, num_hidden_layers=4), "weights lack model.layers.3.input_layernorm"),
    "other width": (
        lambda: edit(CONFIG, intermediate_size=41),
        "gate_proj.weight must have shape (41, 16), not (40, 16)",
    ),
    "index elsewhere": (write_index_of_another_folder, "weight_map must be a mapping from weights to files beside it"),
    "heads of another network": (
        add_heads_without_weights,
        "llama/original: must hold consolidated.safetensors or one consolidated.pth",
    ),
}
"""What is done to a Llama, and the message about it."""


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_llama_is_rejected(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_llama().save_pretrained("llama")
    spoil, message = WRONG[what]
    spoil()
    assert_rejected(["import", "llama", "-o", "run", *TASK], (message,), capsys)


def test_wrong_requests_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_llama().save_pretrained("llama")
    tiny_llama(num_hidden_layers=1).save_pretrained("shallow")
    Path("there").mkdir()
    Path("pickle").mkdir()
    Path("pickle/params.json").write_text(json.dumps(release_params(tiny_network(), 1)))
    torch.save(lab.LabError, "pickle/consolidated.pth")
    for words, expected in {
        "llama -o run": "llama: holds no experiment.yaml, so that a task must be given",
        "llama -o there --task induction --vocabulary 12 --period [3,5]": "there: exists already",
        "llama -o run --task induction --vocabulary 13 --period [3,5]": "the vocabulary must have the 13 tokens of induction",
        "llama -o run --task inductoin": "did you mean 'induction'",
        "llama -o run --vocabulary 12": "--vocabulary is a setting of a task, which --task names",
        "shallow -o run --task induction --vocabulary 12 --period [3,5]": "leaves no trunk",
        "pickle -o run --task induction": "consolidated.pth: not a whole file of weights",
        "llama": "required: -o/--out",
    }.items():
        assert_rejected(["import", *words.split()], (expected,), capsys)


def test_heads_of_another_llama_are_rejected(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tiny(), weights=True)
    folder = lab.export(run, tmp_path / "hf")
    edit(folder / "original" / "params.json", rope_theta=5.0)
    with pytest.raises(LabError, match=r"params\.json: the network must be that of .*config\.json"):
        lab.read_llama(folder)


def test_the_folder_original_of_a_plain_llama_is_ignored(tmp_path: Path) -> None:
    """Meta's own repositories have such a folder with the same weights as the Llama."""
    tiny_llama().save_pretrained(tmp_path)
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "params.json").write_text('{"dim": 16, "n_layers": 3}')
    assert lab.read_llama(tmp_path).n_future == 1
