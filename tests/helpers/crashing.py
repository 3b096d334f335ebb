"""A task that kills its process, or logs the threads and the device of that process."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from tasks import Batch, Task


@dataclass(frozen=True, kw_only=True)
class Crashing(Task):
    name: ClassVar[str] = "tests.helpers.crashing:Crashing"
    summary: ClassVar[str] = "random symbols"
    source: ClassVar[str] = "made for a test"
    headline: ClassVar[str] = "accuracy/symbol"

    vocabulary: int = 8
    crashes: bool = False
    log: str = ""

    roles: ClassVar[tuple[str, ...]] = ("-", "symbol")

    @property
    def vocab_size(self) -> int:
        return self.vocabulary

    @property
    def length(self) -> int:
        return 12

    def word(self, token: int) -> str:
        return str(token)

    def draw(self, rng: np.random.Generator, size: int, split: str) -> Batch:
        if self.crashes:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{torch.get_num_threads()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
        tokens = rng.integers(self.vocabulary, size=(size, self.length))
        return self.rows(tokens, np.ones_like(tokens))
