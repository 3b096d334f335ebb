"""Tensors as safetensors files."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lab.errors import LabError
from lab.runs.files import readable_errors


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file.

    Args:
        tensors: By name.
        path: The file.
        metadata: Entries of its header.

    Raises:
        LabError: If the file cannot be written, as on a full disk.
    """
    with readable_errors(path):
        path.touch()
        mode = path.stat().st_mode  # of any new file; safetensors would make one for its owner alone
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
            path.chmod(mode)
        except SafetensorError as error:
            raise LabError(f"{path}: cannot be written ({error})") from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU.

    Raises:
        LabError: If it is missing, cut short or not a safetensors file.
    """
    if not path.is_file():
        raise LabError(f"{path}: no such file")
    with readable_errors(path):
        try:
            return load_file(path)
        except SafetensorError as error:
            raise LabError(f"{path}: not a whole safetensors file ({error})") from error
