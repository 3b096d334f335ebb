"""Write and read mazes as lines of text, `9,3|7,2|.../7,4=2,9,3,4 won`, with exact errors for wrong lines."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.core.text import read_numbers
from tasks.errors import TaskError
from tasks.settings import require

Ways = dict[int, list[int]]
"""The nodes that are one step from each node; a node without steps is no key."""


@dataclass(frozen=True)
class Line:
    """The content of a line.

    Attributes:
        edges: (from, to) of each edge in order.
        start: The first node of the walk.
        goal: The node that wins.
        walk: Nodes of the walk after the start.
        outcome: `won` or `lost`.
    """

    edges: list[tuple[int, int]]
    start: int
    goal: int
    walk: list[int]
    outcome: str

    @property
    def ways(self) -> Ways:
        """The steps of the map."""
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
    """Find the choices on the way to the goal, `turn` or `detour`, by node.

    Raises:
        TaskError: Unless the map consists of choices of two ways, each followed by a corridor of `corridor` steps.
    """
    ways, found, walked = line.ways, dict[int, str](), list[tuple[int, int]]()
    at = line.start
    while at != line.goal:
        branches = [_follow_corridor(ways, first, corridor) for first in ways.get(at, [])]
        if len(branches) != 2 or at in found:
            raise TaskError(f"maze: the way to {line.goal} has no choice of two ways with {corridor} forced steps each at {at}")
        joined = branches[0][1:] == branches[1][1:]
        onward = [branch for branch in branches if branch[-1] == line.goal or branch[-1] in ways]
        if any(len(branch) != corridor + 1 for branch in branches) or len(onward) != (2 if joined else 1):
            allowed = f"exactly one must end after {corridor + 1} steps, or both must join after one step"
            raise TaskError(f"maze: of the two ways at {at}, {allowed}")
        found[at] = "detour" if joined else "turn"
        walked += [step for branch in branches for step in zip([at, *branch], branch, strict=False)]
        at = onward[0][-1]
    spare = set(line.edges) - set(walked)
    if spare:
        raise TaskError(f"maze: the edge {','.join(map(str, min(spare)))} belongs to no choice on the way to {line.goal}")
    return found


def check_walk(line: Line) -> None:
    """Reject a walk that leaves the line's map, stops before an end or has a wrong outcome.

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
    right = "won" if at == line.goal else "lost"
    require(line.outcome == right, "maze: the outcome", line.outcome, right)


def _follow_corridor(ways: Ways, first: int, corridor: int) -> list[int]:
    """Return the nodes from `first` on as long as steps are forced, for at most `corridor` steps."""
    chain = [first]
    while len(chain) <= corridor and len(ways.get(chain[-1], [])) == 1:
        chain.append(ways[chain[-1]][0])
    return chain
