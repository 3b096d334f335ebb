"""Countdown: the task, and the derivations of its targets."""

from tasks.countdown.countdown import Countdown

__all__ = ["Countdown"]
