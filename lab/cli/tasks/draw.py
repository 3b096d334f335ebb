"""Draw instances of a task as a picture."""

from __future__ import annotations

from pathlib import Path

from lab.cli.tasks.arguments import add_stream, parse_arguments, task_parser
from lab.plots import gallery
from lab.runs.files import write_atomic
from lab.runs.outputs import check_file
from tasks import Task
from tasks.settings import require

_TOKENS, _ROWS = 60, 4
"""By default a picture shows at most this many tokens and instances, but at least one instance."""

_MOST = 500
"""Most instances of a picture, whose height grows with their number."""


def run(arguments: list[str]) -> int:
    """Draw instances of a task into a file."""
    parser = task_parser(
        "draw",
        "Draw instances of a task as a picture: one cell for each token, coloured and numbered by role.",
        "star -o star.png",
        "maze --turns 2 --rows 3 -o maze.png",
    )
    parser.add_argument("--rows", type=int, help="number of instances (as many as fit)")
    add_stream(parser, "train")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="a .png")
    parser.add_force()
    task, args = parse_arguments(parser, arguments)
    out = Path(args.out)
    check_file(out, (".png",), force=args.force)
    require(args.rows is None or 1 <= args.rows <= _MOST, "rows", args.rows, f"between 1 and {_MOST}")
    write(task, out, rows=args.rows, split=args.split, seed=args.seed)
    print(out)
    return 0


def write(task: Task, out: Path, *, rows: int | None = None, split: str = "train", seed: int = 0) -> None:
    """Write the picture of a task.

    Raises:
        OSError: If the file cannot be written.
        TaskError: For a wrong argument.
    """
    drawn = cells_of(task, rows, split, seed)
    write_atomic(out, gallery.png(gallery.picture(*drawn)))


def cells_of(
    task: Task, rows: int | None = None, split: str = "train", seed: int = 0
) -> tuple[list[gallery.Cell], list[gallery.Role], str]:
    """Return the cells, roles and title of a task's picture."""
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
