"""Decoding: from a network to tokens. Plain torch."""

from lab.decoding.completion import Forced, NextToken, greedy, sample

__all__ = ["Forced", "NextToken", "greedy", "sample"]
