"""Countdown: the task, and all derivations from some numbers."""

from tasks.countdown.countdown import Countdown

__all__ = ["Countdown"]
