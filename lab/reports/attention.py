"""A page of attention patterns: a reader chooses run, sequence, layer and attention head, and points at a word."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from lab.errors import LabError
from lab.plots.attention import layer_label, words_of

LARGEST = 8_000_000
"""Attention weights in a page, at most: a byte each, a third more as text."""


def attention_page(frame: pd.DataFrame) -> str:
    """Return a page of HTML with all patterns of a frame, which needs no other file.

    A weight is rounded to 1/255 and takes a byte.

    Args:
        frame: From `lab.inspect("attention", ...)`, of one or several runs and steps.

    Raises:
        LabError: If the frame has more than `LARGEST` weights.
    """
    if len(frame) > LARGEST:
        raise LabError(
            f"a page holds {LARGEST:,} attention weights, not {len(frame):,}: inspect fewer runs, sequences, positions or steps"
        )
    networks = [
        {"name": _name(rows.iloc[0]), "sequences": [_sequence(part) for _, part in rows.groupby("sequence", sort=True)]}
        for _, rows in frame.groupby(["run", "step"], sort=False)
    ]
    task = str(frame["task"].iloc[0])
    data = json.dumps({"networks": networks}, separators=(",", ":"), ensure_ascii=True)
    template = Template(files("lab.reports").joinpath("attention.html").read_text(encoding="utf-8"))
    return template.substitute(task=html.escape(task), data=data.replace("<", "\\u003c"))


def _name(row: pd.Series) -> str:
    return f"{row['run']}, step {row['step']}" + ("" if pd.isna(row["tokens"]) else f" ({int(row['tokens']):,} tokens)")


def _sequence(rows: pd.DataFrame) -> dict[str, Any]:
    """Return a sequence's words, roles and layers, each attention head's weights in the order (query, key) as base64."""
    own = rows.drop_duplicates("query").sort_values("query")
    ordered = rows.sort_values(["query", "key"], kind="stable")
    layers = []
    for site in rows["site"].unique():
        heads = ordered[ordered["site"] == site].groupby("attention_head", sort=True)["value"]
        rounded = [np.rint(255 * values.to_numpy()).astype(np.uint8) for _, values in heads]
        layers.append({"name": layer_label(site), "heads": [base64.b64encode(head.tobytes()).decode() for head in rounded]})
    return {"words": words_of(rows), "roles": [str(role) for role in own["query_role"]], "layers": layers}
