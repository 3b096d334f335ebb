"""The model card of an exported network."""

from __future__ import annotations

from lab.config.yaml import write_yaml
from lab.metrics import Metric
from lab.runs import Run
from lab.runs.names import reference_lines

_LEFT_OUT = ("train/loss", "train/gradient_norm", "gradient", "gradient/cosine", "gradient/share")
"""Metrics of training steps, which do not describe the trained network."""


def model_card(run: Run, step: int, heads: int, *, words: bool) -> str:
    """Return the text of a model card in Markdown.

    Args:
        run: The run.
        step: Whose weights were exported.
        heads: How many prediction heads were exported.
        words: Whether a tokenizer was exported.
    """
    experiment = run.experiment
    name, record = experiment.task.name, run.record
    parts = [
        _HEADER.format(task=name),
        f"# {name}, {experiment.n_future} prediction head{'s' * (experiment.n_future > 1)}, seed {experiment.seed}",
        f"The task is to {experiment.task.summary}, in sequences of {experiment.task.length} tokens.\n"
        f"The network has {record['non_embedding_parameters']:,} non-embedding parameters with all its prediction heads.\n"
        "It was trained with mtp-lab, a laboratory for multi-token prediction"
        " (Gloeckle et al. 2024, [arXiv 2404.19737](https://arxiv.org/abs/2404.19737)).",
        "## Load it",
        _load(run, words=words),
        "" if heads == 1 else _HEADS.format(n=heads, further="head 2" if heads == 2 else f"heads 2 to {heads}"),
        "## Training",
        f"{step} of {experiment.steps} optimiser steps of {experiment.batch_size} sequences, seed {experiment.seed}, commit"
        f" {record.get('commit') or 'unknown'}; versions: "
        + ", ".join(f"{library} {version}" for library, version in record.get("versions", {}).items())
        + ".\n`experiment.yaml` has every setting; those of task and network are",
        _settings(run),
        f"## Metrics after {step} steps",
        _metrics(run, step),
        "## Licence",
        "MIT, as that of mtp-lab.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_HEADER = """\
---
license: mit
library_name: transformers
pipeline_tag: text-generation
tags: [mtp-lab, multi-token-prediction, {task}]
---"""
_HEADS = """\
`model.safetensors` has the next-token path: the trunk and prediction head 1.
`original/` has the {n} prediction heads in the layout of the paper's release (facebook/multi-token-prediction):
`params.json` with `n_future_tokens`, and `consolidated.safetensors`, whose `extra_heads` hold {further}.
Prediction head i predicts token t + i.
mtp-lab reads them back: `lab.read_llama(folder)`."""


def _load(run: Run, *, words: bool) -> str:
    """Return Python code that loads the model and lets it complete a prompt."""
    task = run.experiment.task
    tokens = task.batch(0, 0, 1, "test").tokens[0, : max(1, task.length // 2)].tolist()
    prompt = " ".join(task.word(token) for token in tokens)
    if words and task.encode(prompt).tolist() == tokens:
        lines = [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
            f'prompt = tokenizer({prompt!r}, return_tensors="pt").input_ids',
            "print(tokenizer.decode(model.generate(prompt)[0]))",
        ]
    else:
        lines = [
            "import torch",
            "from transformers import AutoModelForCausalLM",
            "",
            'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
            f"prompt = torch.tensor([{tokens}])",
            "print(model.generate(prompt)[0].tolist())",
        ]
    return "\n".join(["```python", *lines, "```"])


def _settings(run: Run) -> str:
    """Return the settings of task and network as YAML."""
    settings = run.experiment.model_dump(mode="json")
    shown = {"task": settings["task"], "n_future": run.experiment.n_future, "model": settings["model"]}
    return f"```yaml\n{write_yaml(shown)}```"


def _metrics(run: Run, step: int) -> str:
    """Return a Markdown table of the metrics at a step."""
    experiment = run.experiment
    rows = []
    for row in run.metrics():
        metric = Metric.parse(row.metric)
        if row.step != step or metric.site or metric.name in _LEFT_OUT:
            continue
        lines = ", ".join(f"{line} {value:.3g}" for line, value in reference_lines(experiment, row.metric).items())
        label = metric.label(experiment.task.role_label)
        rows.append(f"| `{row.metric}` | {label} | {row.value:.4g} | {metric.unit} | {lines} |")
    if not rows:
        return "None: this step is no evaluation point."
    split = experiment.evaluation.split
    return (
        f"On {experiment.evaluation.examples} sequences of the split {split}, which shares no instance with training.\n\n"
        + "\n".join(["| metric | meaning | value | unit | to compare |", "| --- | --- | --- | --- | --- |", *rows])
    )
