"""Stories from a real text: tokenised by a byte-level BPE of its own, its characters named anew where a model is tested."""

from tasks.stories.corpus.encoding import SMALLEST
from tasks.stories.corpus.rows import Source, StoryRows, story_rows
from tasks.stories.corpus.text import fingerprint_of, names_fingerprint

__all__ = ["SMALLEST", "Source", "StoryRows", "fingerprint_of", "names_fingerprint", "story_rows"]
