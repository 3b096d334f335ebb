"""The accelerator of a run, and checks that this machine has what the run needs."""

from __future__ import annotations

import os
import shutil

import torch

from lab.config import Experiment
from lab.errors import LabError


def check_accelerator(experiment: Experiment) -> None:
    """Reject an accelerator, a number of devices or threads, or a compiler that this machine lacks.

    Raises:
        LabError: Naming the setting and what the machine has.
    """
    available = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[experiment.accelerator]:
        names = ", ".join(name for name, found in available.items() if found)
        raise LabError(f"accelerator must be one that this machine has ({names}), not {experiment.accelerator!r}")
    gpus = {"cuda": torch.cuda.device_count(), "mps": 1}.get(accelerator_name(experiment))
    if gpus is not None and experiment.devices > gpus:
        raise LabError(f"devices must be at most {gpus}, the GPUs of this machine, not {experiment.devices}")
    if experiment.threads > (cores := os.cpu_count() or 1):
        raise LabError(f"threads must be at most {cores}, the cores of this machine, not {experiment.threads}")
    on_gpu = torch.cuda.is_available() and experiment.accelerator in ("auto", "cuda")
    if experiment.compile == "reduce-overhead" and not on_gpu:
        raise LabError("compile must be none or default without a CUDA GPU, which has the graphs, not 'reduce-overhead'")
    if experiment.compile != "none" and not on_gpu and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise LabError(f"compile must be none where there is no C++ compiler (g++, or CXX), not {experiment.compile!r}")


def accelerator_name(experiment: Experiment) -> str:
    """Return the accelerator by name; `auto` is not left to Lightning, which also looks for a TPU."""
    if experiment.accelerator != "auto":
        return experiment.accelerator
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
