"""Write a run's network as a Llama that `transformers` loads, and its prediction heads in the layout of the paper's release.

config.json, model.safetensors     the next-token path
generation_config.json             greedy, up to the length of the task's sequences
tokenizer.json, tokenizer_config.json  the task's words
experiment.yaml                    every setting of the run
README.md                          the model card
original/params.json, original/consolidated.safetensors  all prediction heads, if there are several
"""

from __future__ import annotations

from pathlib import Path

from lab.config import dump
from lab.errors import LabError, Occupied
from lab.evaluation.drafts import find_end_token, open_finished
from lab.evaluation.state import has_finite_weights
from lab.exchange.card import model_card
from lab.exchange.tokenizer import tokenizer_config, tokenizer_json
from lab.model import Network
from lab.model.convert import llama_config, release_params
from lab.model.layouts import RELEASE, TRANSFORMERS, check_expressible, to_layout
from lab.runs import Run
from lab.runs.files import folder_atomic, write_json
from lab.runs.layout import EXPERIMENT, WEIGHTS
from lab.runs.outputs import check_place
from lab.runs.search import Step, choose_steps
from lab.runs.tensors import save_tensors
from tasks import Task

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
ORIGINAL, PARAMS, CONSOLIDATED = "original", "params.json", "consolidated.safetensors"
"""The folder and files of Meta's own layout."""


def export(run: Run | Path | str, out: Path | str, *, step: Step = "last", heads: int | None = None) -> Path:
    """Write a run's network as a folder that `transformers` loads as a Llama with the same next-token logits.

    Args:
        run: A finished run.
        out: A new folder.
        step: Which kept weights: the last, or those after a number of optimiser steps.
        heads: How many prediction heads, from head 1; by default all. Heads above 1 are written beside the Llama, in the layout
            of the paper's release.

    Raises:
        LabError: If the run is not finished or is teacherless, the folder exists, a weight is not finite, or the layouts cannot
            express the network. Nothing is written then.
    """
    opened, out = open_finished(run, "be exported"), Path(out)
    if out.exists():
        raise Occupied(f"{out}: exists already")
    check_place(out)
    (chosen,) = choose_steps(opened, step)
    network, n = opened.model(chosen), opened.experiment.n_future if heads is None else heads
    if not has_finite_weights(network):
        raise LabError(f"{opened.path}: a weight is not finite, so that there is nothing to export")
    try:
        check_expressible(network, n)
    except LabError as error:
        raise LabError(f"{opened.path}: {error}") from error
    task = opened.experiment.task
    tokenizer = tokenizer_json(task)
    with folder_atomic(out) as folder:
        _write_llama(folder, network, task)
        if n > 1:
            (folder / ORIGINAL).mkdir()
            write_json(folder / ORIGINAL / PARAMS, release_params(network, n))
            save_tensors(to_layout(network, RELEASE, n), folder / ORIGINAL / CONSOLIDATED)
        if tokenizer is not None:
            (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
            write_json(folder / "tokenizer_config.json", tokenizer_config(task))
        (folder / EXPERIMENT).write_text(dump(opened.experiment), encoding="utf-8")
        (folder / "README.md").write_text(model_card(opened, chosen, n, words=tokenizer is not None), encoding="utf-8")
    return out


def _write_llama(folder: Path, network: Network, task: Task) -> None:
    """Write the next-token path."""
    special = {"bos_token_id": None, "eos_token_id": find_end_token(task), "pad_token_id": find_end_token(task)}
    write_json(folder / CONFIG, llama_config(network) | {"max_position_embeddings": task.length} | special)
    write_json(folder / "generation_config.json", {"do_sample": False, "max_length": task.length} | special)
    save_tensors(to_layout(network, TRANSFORMERS), folder / WEIGHTS, {"format": "pt"})
