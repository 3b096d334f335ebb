"""Lightning's interface to the checkpoints of `lab.runs.checkpoint`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO

from lab.runs.checkpoint import read_checkpoint, remove_older, write_checkpoint
from lab.runs.layout import remove_checkpoint


class SafetensorsIO(CheckpointIO):
    """Write a checkpoint as a folder, then remove the older ones beside it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))
        remove_older(Path(path))

    def load_checkpoint(
        self,
        path: Path | str,
        map_location: Callable[[Any], Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Path | str) -> None:
        remove_checkpoint(Path(path))
