"""Global state of torch as a network's construction, training and measurement expect it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from lab import processes
from lab.config import Experiment


@contextmanager
def isolated(experiment: Experiment) -> Iterator[None]:
    """Set the global state of the process and of torch inside, and restore it afterwards.

    No global setting then changes a result: environment variables that Lightning obeys, torch's default dtype and device,
    gradient mode, autocast, precision of matrix products, number of threads. Nor does the work inside change what the process
    draws at random.
    """
    threads, dtype, precision = torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(processes.own_environment())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        stack.callback(torch.set_num_threads, threads)
        stack.callback(torch.set_default_dtype, dtype)
        stack.callback(torch.set_float32_matmul_precision, precision)
        torch.set_num_threads(experiment.threads)
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        if experiment.devices > 1:
            os.environ["OMP_NUM_THREADS"] = str(experiment.threads)  # else Lightning takes all cores
        yield
