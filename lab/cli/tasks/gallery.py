"""`lab tasks gallery`: a picture of every task, from the registry, so that documentation cannot lag."""

from __future__ import annotations

from pathlib import Path

import tasks
from lab.cli.arguments import Parser
from lab.cli.tasks.draw import write
from lab.errors import LabError


def run(arguments: list[str]) -> int:
    """Draw every task at its default settings into a folder."""
    parser = Parser("tasks gallery", "Draw every task at its default settings, as NAME.png in a folder.")
    parser.add_argument("-o", "--out", required=True, metavar="DIR", help="a folder that exists")
    folder = Path(parser.parse_args(arguments).out)
    if not folder.is_dir():
        raise LabError(f"{folder}: no such folder")
    for name in tasks.names():
        path = folder / f"{name}.png"
        write(tasks.get(name), path)
        print(path)
    return 0
