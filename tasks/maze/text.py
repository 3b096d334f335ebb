"""Mazes as lines of text, `9,3|7,2|.../7,4=2,9,3,4 won`, with exact errors for wrong ones."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.core.text import read_numbers
from tasks.errors import TaskError
from tasks.settings import require

Ways = dict[int, list[int]]
"""The nodes one step from each node; an end is not a key."""


@dataclass(frozen=True)
class Line:
    """The content of a line: (from, to) of each edge in order, start, goal, nodes of the walk after the start, outcome."""

    edges: list[tuple[int, int]]
    start: int
    goal: int
    walk: list[int]
    outcome: str

    @property
    def ways(self) -> Ways:
        ways: Ways = {}
        for tail, head in self.edges:
            ways.setdefault(tail, []).append(head)
        return ways


def write(line: Line) -> str:
    """Write a line as text."""
    edges = "|".join(f"{tail},{head}" for tail, head in line.edges)
    return f"{edges}/{line.start},{line.goal}={','.join(map(str, line.walk))} {line.outcome}"


def read(text: str, nodes: int) -> Line:
    """Read a line with ids below `nodes`, without checking the map or the walk.

    Raises:
        TaskError: If it is malformed.
    """
    edges_text, _, rest = text.strip().partition("/")
    ends_text, _, walk_text = rest.partition("=")
    steps_text, _, outcome = walk_text.partition(" ")
    pairs = [read_numbers(edge, "maze", "an edge u,v", nodes, 2) for edge in edges_text.split("|")]
    start, goal = read_numbers(ends_text, "maze", "start,goal", nodes, 2)
    require(outcome in ("won", "lost"), "maze: the outcome after a walk", outcome, "won or lost")
    return Line([(tail, head) for tail, head in pairs], start, goal, read_numbers(steps_text, "maze", "a walk", nodes), outcome)


def find_choices(line: Line, corridor: int) -> dict[int, str]:
    """Return the choices on the way to the goal, `turn` or `detour`, by node.

    Raises:
        TaskError: Unless the map consists of choices of two ways, each followed by a corridor of `corridor` steps.
    """
    ways, found, walked = line.ways, dict[int, str](), list[tuple[int, int]]()
    at = line.start
    while at != line.goal:
        branches = [_corridor(ways, first, corridor) for first in ways.get(at, [])]
        if len(branches) != 2 or at in found:
            raise TaskError(f"maze: the way to {line.goal} has no choice of two ways with {corridor} forced steps each at {at}")
        joined = branches[0][1:] == branches[1][1:]
        onward = [branch for branch in branches if branch[-1] == line.goal or branch[-1] in ways]
        if any(len(branch) != corridor + 1 for branch in branches) or len(onward) != (2 if joined else 1):
            raise TaskError(
                f"maze: the two ways at {at} are neither one to a dead end after {corridor + 1} steps nor joined at once"
            )
        found[at] = "detour" if joined else "turn"
        walked += [step for branch in branches for step in zip([at, *branch], branch, strict=False)]
        at = onward[0][-1]
    spare = set(line.edges) - set(walked)
    if spare:
        raise TaskError(f"maze: the edge {','.join(map(str, min(spare)))} belongs to no choice on the way to {line.goal}")
    return found


def check_walk(line: Line) -> None:
    """Reject a walk that is not on the line's map, or whose outcome is wrong.

    Raises:
        TaskError: Naming the wrong step, or the right outcome.
    """
    ways, at = line.ways, line.start
    for node in line.walk:
        if node not in ways.get(at, []):
            raise TaskError(f"maze: the map has no way from {at} to {node}")
        at = node
    if at in ways:
        raise TaskError(f"maze: the walk stops at {at}, before an end")
    require(
        (line.outcome == "won") == (at == line.goal), "maze: the outcome", line.outcome, "won" if at == line.goal else "lost"
    )


def _corridor(ways: Ways, first: int, corridor: int) -> list[int]:
    """The nodes from `first` on while steps are forced, at most `corridor` steps."""
    chain = [first]
    while len(chain) <= corridor and len(ways.get(chain[-1], [])) == 1:
        chain.append(ways[chain[-1]][0])
    return chain
