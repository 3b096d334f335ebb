"""The process's memory: what a step frees, the next one takes."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of two settings in glibc's malloc.h."""
_KEPT, _OF_ITS_OWN = 2**31 - 1, 2**30
"""Bytes that stay with the process when they are free; those of an array whose memory still goes back by itself."""


def keep_freed_memory() -> None:
    """Have the C library keep freed memory, where it is glibc; elsewhere nothing is done.

    By itself it gives the end of the heap back after a step and large arrays at once, and the system fills every page with
    zeros again when the next step asks for it: thousands of pages a step, which costs up to 3 % of one of eight stacked
    members of the size 1M. What this keeps, a process needs at each step anyway.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _OF_ITS_OWN)
        mallopt(_TRIM_THRESHOLD, _KEPT)
