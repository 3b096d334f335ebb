"""A maze with turns that matter and detours that do not: the task, its lines of text, its maps and walks."""

from tasks.maze.maze import Maze

__all__ = ["Maze"]
