"""Stories from a text file, tokenised by their own byte-level BPE, with new names of characters in validation and test."""

from tasks.stories.corpus.encoding import SMALLEST
from tasks.stories.corpus.sequences import CorpusStories, Source, open_stories
from tasks.stories.corpus.text import hash_file, hash_names

__all__ = ["SMALLEST", "CorpusStories", "Source", "hash_file", "hash_names", "open_stories"]
