"""`transformers` loads the same network from an export; wrong requests write nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import lab
from lab.config.kinds import KINDS
from lab.errors import LabError
from lab.exchange.tokenizer import tokenizer_json
from lab.runs.tensors import save_tensors
from tasks import TASKS
from tests.helpers.llamas import release_logits
from tests.helpers.rejection import assert_rejected, listing
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

transformers = pytest.importorskip("transformers")


def make_and_export(folder: Path, experiment: lab.Experiment, **options: Any) -> tuple[lab.Run, Path]:
    """Write a run with random weights, export it, and return both."""
    run = make_run(folder / "run", experiment, {12: {"loss/all/1": 1.25, "accuracy/copy/1": 0.5}}, weights=True)
    return run, lab.export(run, folder / "hf", **options)


def tokens_of(run: lab.Run) -> torch.Tensor:
    task = run.experiment.task
    return torch.from_numpy(task.batch(1, 0, 3, "test").tokens)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.first.square_matrices])
def test_transformers_computes_the_same_logits(kind: str, tmp_path: Path) -> None:
    changes = {"model__layers": 5, "model__rope_base": 700.0, "model__norm_epsilon": 1e-4, "model__inner_width": 20}
    run, folder = make_and_export(tmp_path, tiny(**changes, model__heads=kind), heads=1)
    llama = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokens_BT = tokens_of(run)
    with torch.no_grad():
        expected = run.model().logits(tokens_BT)
        torch.testing.assert_close(llama(tokens_BT).logits, expected, rtol=1e-5, atol=1e-5)
        first = llama(tokens_BT[:, :5], use_cache=True)
        second = llama(tokens_BT[:, 5:], past_key_values=first.past_key_values)
    torch.testing.assert_close(torch.cat([first.logits, second.logits], 1), expected, rtol=1e-5, atol=1e-5)
    assert not llama.config.tie_word_embeddings
    assert llama.dtype == torch.float32
    assert not (folder / "original").exists()


def test_generate_agrees_with_lab_decode(tmp_path: Path) -> None:
    run, folder = make_and_export(tmp_path, tiny())
    decoded = lab.decode(run, draft=1, prompts=4)
    prompts = [tokens[:3] for tokens in decoded.completion.sequences]
    decoded = lab.decode(run, draft=1, prompts=[tokens.tolist() for tokens in prompts])
    llama = transformers.AutoModelForCausalLM.from_pretrained(folder)
    generated = llama.generate(torch.stack(prompts))  # generation_config.json sets greedy decoding up to the task's length
    assert torch.equal(generated, decoded.completion.tokens_BT)


@pytest.mark.parametrize("n_future", [2, 4])
def test_all_heads_are_exported_in_the_layout_of_the_release(n_future: int, tmp_path: Path) -> None:
    run, folder = make_and_export(tmp_path, tiny(n_future=n_future, model__layers=6))
    params = json.loads((folder / "original" / "params.json").read_text())
    weights = load_file(folder / "original" / "consolidated.safetensors")
    assert params["n_future_tokens"] == n_future
    assert {name.split(".")[1] for name in weights if name.startswith("extra_heads.")} == set(map(str, range(n_future - 1)))
    tokens_BT, network = tokens_of(run), run.model()
    with torch.no_grad():
        expected = torch.stack([network.logits(tokens_BT, head) for head in range(1, n_future + 1)])
    torch.testing.assert_close(release_logits(params, weights, tokens_BT), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_the_tokenizer_encodes_and_decodes_the_tasks_words(name: str, tmp_path: Path) -> None:
    run, folder = make_and_export(
        tmp_path, lab.experiment(name, {"steps": 12, "model.width": 8, "model.layers": 2, "model.n_heads": 2})
    )
    task = run.experiment.task
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for tokens in [list(range(task.vocab_size)), *tokens_of(run).tolist()]:
        words = " ".join(map(task.word, tokens))
        assert tokenizer(words).input_ids == tokens
        assert tokenizer.decode(tokens) == words
    with pytest.raises(Exception, match=r"unk|UNK"):
        tokenizer("no-such-word")


def test_ambiguous_words_give_no_tokenizer() -> None:
    task = tiny().task
    assert tokenizer_json(task) is not None
    for word in ("a b", "a", ""):
        broken = type(
            "Broken", (type(task),), {"word": lambda self, token, word=word: word if token == 1 else "abcdefghijkl"[token]}
        )
        assert tokenizer_json(broken(vocabulary=12, period=(3, 5))) is None


def test_the_card_states_task_settings_and_metrics(tmp_path: Path) -> None:
    run, folder = make_and_export(tmp_path, tiny(seed=7))
    card = (folder / "README.md").read_text()
    _, header, text = card.split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "mit"
    for words in (
        "induction, 2 prediction heads, seed 7",
        "commit 0123abc",
        "torch 2",
        "| `loss/all/1` |",
        "1.25 | nats",
        "whose `extra_heads` hold head 2",
    ):
        assert words in text
    assert lab.load(folder / "experiment.yaml") == run.experiment
    (code,) = [block.removeprefix("python\n") for block in card.split("```") if block.startswith("python")]
    names: dict[str, Any] = {}
    exec(code.replace("FOLDER", str(folder)), names)  # run the card's example
    assert names["model"].config.model_type == "llama"


def test_the_card_states_a_missing_evaluation(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tiny(), {3: {"loss/all/1": 1.0}}, weights=True)
    assert "None: this step is no evaluation point" in (lab.export(run, tmp_path / "hf") / "README.md").read_text()


def test_wrong_requests_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, experiment, state in [
        ("good", tiny(), "finished"),
        ("unfinished", tiny(), "stopped"),
        ("causal", tiny(model__heads="causal"), "finished"),
        ("linear", tiny(model__heads="linear"), "finished"),
        ("gelu", tiny(model__mlp="gelu"), "finished"),
        ("early", tiny(model__layers=4, model__head_layer=1), "finished"),
        ("hidden", tiny("star", objective__teacherless=True), "finished"),
    ]:
        make_run(Path(name), experiment, state=state, weights=True)
    make_run(Path("nan"), tiny(), weights=True)
    weights = load_file(Path("nan/model.safetensors"))
    weights["norm.weight"][0] = torch.nan
    save_tensors(weights, Path("nan/model.safetensors"))
    make_run(Path("empty"), tiny())
    make_run(Path("damaged"), tiny(), weights=True)
    Path("damaged/model.safetensors").write_bytes(Path("good/model.safetensors").read_bytes()[:-9])
    Path("there").mkdir()
    for words, expected in {
        "gone -o new": "gone: no such folder",
        "there -o new": "there: not a run",
        "unfinished -o new": "must be finished to be exported, not stopped",
        "hidden -o new": "objective.teacherless must be false to be exported",
        "good -o there": "there: exists already; choose another --out",
        "good -o good/hf": "lies in the run good",
        "good --step 5 -o new": "has no weights of step 5",
        "good --heads 3 -o new": "heads must be between 1 and n_future = 2, not 3",
        "good --to gguf -o new": "argument --to: invalid choice: 'gguf'",
        "good": "the following arguments are required: -o/--out",
        "causal -o new": "causal: heads must be 1 with model.heads causal, not 2",
        "early -o new": "early: heads must be 1 with model.head_layer 1, not 2",
        "linear --heads 1 -o new": "of kind linear is no sum of layers",
        "gelu -o new": "model.mlp must be swiglu in a Llama, not gelu",
        "nan -o new": "nan: a weight is not finite",
        "empty -o new": "empty: has no weights yet",
        "damaged -o new": "not a whole safetensors file",
    }.items():
        assert_rejected(["export", *words.split()], (expected,), capsys)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", tiny(), weights=True)
    before = listing(tmp_path)

    def fail(*_: object) -> None:
        raise LabError("no space left")

    monkeypatch.setattr("lab.exchange.exporting.model_card", fail)
    monkeypatch.setattr("lab.exchange.exporting.save_tensors", fail)
    with pytest.raises(LabError, match="no space left"):
        lab.export(run, tmp_path / "deep" / "hf")
    assert listing(tmp_path) == before
