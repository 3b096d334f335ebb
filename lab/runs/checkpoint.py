"""Checkpoints without pickle: tensors as safetensors, everything else as JSON, in a folder that appears as a whole.

Lightning gives one nested structure; `pack` separates the tensors and `unpack` puts them back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.errors import LabError
from lab.runs.files import folder_atomic, read_json
from lab.runs.layout import STATE, TENSORS, checkpoint_step, checkpoints, remove_checkpoint
from lab.runs.tensors import load_tensors, save_tensors


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint in one step; an existing one is of the same step of the same run and stays."""
    if path in checkpoints(path.parent):
        return
    tensors: dict[str, Tensor] = {}
    plain = pack(checkpoint, tensors)
    with folder_atomic(path) as partial:
        (partial / STATE).write_text(json.dumps(plain), encoding="utf-8")
        save_tensors(tensors, partial / TENSORS)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        LabError: If it is missing or cut short.
    """
    state: dict[str, Any] = unpack(read_json(path / STATE), load_tensors(path / TENSORS))
    return state


def check_checkpoint(path: Path) -> None:
    """Reject a checkpoint that is cut short, or that training cannot resume from.

    Raises:
        LabError: Naming the checkpoint.
    """
    state = read_checkpoint(path)
    if not {"state_dict", "optimizer_states", "loops", "totals"} <= set(state):
        raise LabError(f"{path}: not a checkpoint of a run")
    if "seen" not in state:
        raise LabError(f"{path}: of an older version, which counted padding as tokens; train its run anew")


def remove_older(path: Path) -> None:
    """Remove the checkpoints of a run that are older than this one."""
    for older in checkpoints(path.parent):
        if checkpoint_step(older) < checkpoint_step(path):
            remove_checkpoint(older)


def pack(value: Any, tensors: dict[str, Tensor], name: str = "") -> Any:
    """Encode a structure as JSON and move its tensors into a dict, named by their paths in it.

    Lists and plain values stay. Other values become a mapping with one marked key: `$tensor` with the name of a tensor,
    `$tuple` with a list, `$pairs` with a mapping as a list of pairs, since its keys need not be strings.

    Raises:
        LabError: For a value of another kind, which only a pickle could hold.
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        return {"$tensor": name}
    if isinstance(value, dict):
        prefix = f"{name}." if name else ""
        return {"$pairs": [[pack(key, tensors), pack(item, tensors, f"{prefix}{key}")] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [pack(item, tensors, f"{name}.{position}") for position, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise LabError(f"checkpoint entry {name}: a {type(value).__name__} cannot be written without pickle")


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Rebuild a structure from `pack`'s encoding and tensors.

    Raises:
        LabError: If a tensor is missing.
    """
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((mark, content),) = value.items()
    if mark == "$tensor":
        if content not in tensors:
            raise LabError(f"checkpoint has no tensor {content!r}")
        return tensors[content]
    if mark == "$tuple":
        return tuple(unpack(item, tensors) for item in content)
    return {unpack(key, tensors): unpack(item, tensors) for key, item in content}
