"""Open-ended discovery: the task, and the graphs that make sequences valid."""

from tasks.discovery.discovery import Discovery

__all__ = ["Discovery"]
