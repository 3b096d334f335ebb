"""Decoding: from a network to tokens. Plain torch."""

from lab.decoding.completion import FREE, Forced, complete
from lab.decoding.result import Completion, Drafts
from lab.decoding.sampling import Sampling
from lab.decoding.speculation import speculate
from lab.decoding.tree import Tree, derive_tree

__all__ = ["FREE", "Completion", "Drafts", "Forced", "Sampling", "Tree", "complete", "derive_tree", "speculate"]
