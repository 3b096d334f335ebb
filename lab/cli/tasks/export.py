"""`lab tasks export`: a test set as a file, an instance a line."""

from __future__ import annotations

from pathlib import Path

from lab.cli.output import write_data
from lab.cli.tasks.chosen import chosen, parser_for
from tasks.export import export_lines


def run(arguments: list[str]) -> int:
    """Write instances as lines of JSON, to a file or to the terminal."""
    parser = parser_for("export", "Write instances as lines of JSON: the line of text, and what draws it again.")
    parser.add_argument("--split", default="test", help="train, validation or test (test)")
    parser.add_argument("--size", type=int, default=2000, help="how many (2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the stream they are drawn from (0)")
    parser.add_argument("-o", "--out", metavar="FILE", help="a .jsonl; without it they are printed")
    parser.add_force()
    task, known = chosen(parser, arguments)
    lines = export_lines(task, known.split, known.size, known.seed)
    if known.out is None:
        for line in lines:
            write_data(f"{line}\n")
        return 0

    from lab.runs.files import write_atomic
    from lab.runs.outputs import check_file

    out = Path(known.out)
    check_file(out, (".jsonl",), begins='{"line": ', force=known.force)
    write_atomic(out, "".join(f"{line}\n" for line in lines))
    print(f"{out}: {known.size} instances of {task.name}")
    return 0
