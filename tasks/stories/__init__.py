"""Children's stories: the task, the grammar that writes them, and stories of a real text (`corpus`)."""

from tasks.stories.stories import Stories

__all__ = ["Stories"]
