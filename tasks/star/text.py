"""Write and read stars as lines of text, `1,2|3,4|.../start,goal=start,...,goal`, with exact errors for wrong lines."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.core.text import read_numbers
from tasks.errors import TaskError
from tasks.settings import require
from tasks.star.shapes import Stars


@dataclass(frozen=True)
class Line:
    """The content of a line.

    Attributes:
        edges: [from, to] of each edge in order.
        start: The centre.
        goal: The end of the path.
        path: Nodes of the path in the order in which they are written.
    """

    edges: list[list[int]]
    start: int
    goal: int
    path: list[int]


def write(line: Line) -> str:
    """Write a line as text."""
    edges = "|".join(f"{tail},{head}" for tail, head in line.edges)
    return f"{edges}/{line.start},{line.goal}={','.join(map(str, line.path))}"


def read(text: str, stars: Stars) -> Line:
    """Read a line, without checking the graph or the path.

    Raises:
        TaskError: If it is malformed, or has an impossible number of edges or of nodes of the path.
    """
    edges_text, _, rest = text.strip().partition("/")
    ends_text, _, path_text = rest.partition("=")
    edges = [read_numbers(edge, "star", "an edge u,v", stars.nodes, 2) for edge in edges_text.split("|")]
    start, goal = read_numbers(ends_text, "star", "start,goal", stars.nodes, 2)
    shortest, longest = min(stars.chances()) + 1, stars.longest + 1
    count = longest if shortest == longest else None
    path = read_numbers(path_text, "star", f"a path of {_format_range(shortest, longest)} nodes", stars.nodes, count)
    fewest, most = stars.degree * stars.shortest, stars.degree * stars.longest
    allowed = f"between {fewest} and {most}" if fewest < most else str(most)
    require(fewest <= len(edges) <= most, "star: the number of edges", len(edges), allowed)
    return Line(edges, start, goal, path)


def find_path(edges: list[list[int]], start: int, goal: int, stars: Stars) -> list[int]:
    """Find the path from start to goal.

    Raises:
        TaskError: Unless the graph is one of the stars, and has this goal.
    """
    before = {head: tail for tail, head in edges}
    inner = [tail for tail, _ in edges if tail != start]
    if len(before) < len(edges) or start in before or len(set(inner)) < len(inner):
        raise TaskError("star: two edges lead to one node, or branch elsewhere than at the start")
    arms = {node: [node] for node in before if node not in inner}
    for arm in arms.values():
        while arm[-1] in before:
            arm.append(before[arm[-1]])
    fits = all(len(arm) - 1 in stars.lengths and arm[-1] == start for arm in arms.values())
    if len(arms) != stars.degree or not fits:
        nodes = _format_range(stars.shortest + 1, stars.longest + 1)
        raise TaskError(f"star: the graph is not {stars.degree} arms of {nodes} nodes from {start}")
    if goal not in (set(before) if stars.any_node else arms):
        raise TaskError(f"star: no arm from {start} {'has the node' if stars.any_node else 'ends in'} {goal}")
    path = [goal]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def _format_range(low: int, high: int) -> str:
    """Format a range of numbers, or the only one."""
    return str(high) if low == high else f"{low} to {high}"
