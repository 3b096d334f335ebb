"""Decoding: from a network to tokens. Plain torch."""

from lab.decoding.completion import FREE, Forced, complete
from lab.decoding.result import Completion, Drafts
from lab.decoding.sampling import Sampling

__all__ = ["FREE", "Completion", "Drafts", "Forced", "Sampling", "complete"]
