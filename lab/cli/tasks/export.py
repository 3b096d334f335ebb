"""Write a test set as lines of JSON."""

from __future__ import annotations

from pathlib import Path

from lab.cli.output import write_data
from lab.cli.tasks.arguments import add_stream, parse_arguments, task_parser
from tasks.export import export_lines


def run(arguments: list[str]) -> int:
    """Write instances as lines of JSON, to a file or to the terminal."""
    parser = task_parser(
        "export",
        "Write a test set as lines of JSON: each instance as text, with the settings and the index that draw it again.",
        "star --size 500 -o star.jsonl",
        "recall --pairs 3 --split validation --seed 1",
    )
    parser.add_argument("--size", type=int, default=2000, help="number of instances (2000)")
    add_stream(parser, "test")
    parser.add_argument("-o", "--out", metavar="FILE", help="a .jsonl (standard output)")
    parser.add_force()
    task, args = parse_arguments(parser, arguments)
    lines = export_lines(task, args.split, args.size, args.seed)
    if args.out is None:
        for line in lines:
            write_data(f"{line}\n")
        return 0

    from lab.runs.files import write_atomic
    from lab.runs.outputs import check_file

    out = Path(args.out)
    check_file(out, (".jsonl",), begins='{"line": ', force=args.force)
    write_atomic(out, "".join(f"{line}\n" for line in lines))
    print(f"{out}: {args.size} instances of {task.name}")
    return 0
