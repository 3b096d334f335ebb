"""`lab tasks draw`: instances of a task as a picture."""

from __future__ import annotations

from pathlib import Path

from lab.cli.tasks.chosen import chosen, parser_for
from lab.plots import gallery
from lab.runs.files import write_atomic
from lab.runs.outputs import check_file
from tasks import Task
from tasks.settings import require

_TOKENS, _ROWS = 60, 4
"""Where nobody says how many instances, so many of them, or fewer with so many tokens, but one at least."""


_MOST = 500
"""Instances that are drawn at most; their picture is as tall as they are many."""


def run(arguments: list[str]) -> int:
    """Draw instances of a task into a file."""
    parser = parser_for("draw", "Draw instances of a task, a cell a token, coloured and numbered by role.")
    parser.add_argument("--rows", type=int, help="how many (as many as fit)")
    parser.add_argument("--split", default="train", help="train, validation or test (train)")
    parser.add_argument("--seed", type=int, default=0, help="of the stream they are drawn from (0)")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png")
    parser.add_force()
    task, known = chosen(parser, arguments)
    out = Path(known.out)
    check_file(out, (".png",), force=known.force)
    require(known.rows is None or 1 <= known.rows <= _MOST, "rows", known.rows, f"between 1 and {_MOST}")
    write(task, out, rows=known.rows, split=known.split, seed=known.seed)
    print(out)
    return 0


def write(task: Task, out: Path, *, rows: int | None = None, split: str = "train", seed: int = 0) -> None:
    """Write the picture of a task.

    Raises:
        LabError: If the system refuses.
        TaskError: For a wrong argument.
    """
    drawn = cells_of(task, rows, split, seed)
    write_atomic(out, gallery.png(gallery.picture(*drawn), gallery.digest(*drawn)))


def cells_of(
    task: Task, rows: int | None = None, split: str = "train", seed: int = 0
) -> tuple[list[gallery.Cell], list[gallery.Role], str]:
    """What the picture of a task shows: cells, roles and title."""
    batch = task.batch(seed, 0, rows or _ROWS, split)
    cells: list[gallery.Cell] = []
    for row in range(len(batch)):
        begin, end = batch.answer[row].tolist()
        pairs = task.show(batch, row)
        if rows is None and cells and len(cells) + len(pairs) > _TOKENS:
            break
        for position, (word, role) in enumerate(pairs):
            cells.append(gallery.Cell(row, word, task.role(role), begin <= position < end))
    roles = [gallery.Role(role, task.floor(role)) for role in task.roles[1:]]
    marked = "; the answer is framed" if task.has_answer else ""
    return cells, roles, f"{task.name}: {task.summary}{marked}"
