"""Stories from a real text: tokenised by a byte-level BPE of its own, its characters named anew where a model is tested."""

from tasks.corpus.encoding import SMALLEST
from tasks.corpus.rows import Source, StoryRows, story_rows
from tasks.corpus.text import fingerprint_of, is_trusting, names_fingerprint, trusting

__all__ = ["SMALLEST", "Source", "StoryRows", "fingerprint_of", "is_trusting", "names_fingerprint", "story_rows", "trusting"]
