"""Draw every task at its default settings into a folder."""

from __future__ import annotations

from pathlib import Path

import tasks
from lab.cli.arguments import Parser
from lab.cli.tasks.draw import write
from lab.errors import LabError
from lab.runs.outputs import check_file

_EXAMPLES = """\
examples:
  lab tasks gallery -o pictures
  lab tasks gallery -o pictures --force     replace pictures that another program wrote"""


def run(arguments: list[str]) -> int:
    """Draw every task at its default settings into a folder."""
    parser = Parser("tasks gallery", "Draw every task at its default settings, as NAME.png in a folder.", epilog=_EXAMPLES)
    parser.add_argument("-o", "--out", required=True, metavar="DIR", help="an existing folder")
    parser.add_force()
    args = parser.parse_args(arguments)
    folder = Path(args.out)
    if not folder.is_dir():
        raise LabError(f"{folder}: no such folder")
    paths = {name: folder / f"{name}.png" for name in tasks.names()}
    for path in paths.values():
        check_file(path, (".png",), force=args.force)
    for name, path in paths.items():
        write(tasks.get(name), path)
        print(path)
    return 0
