"""The table of commands. Nothing heavy is imported here, so that `lab --help` answers at once."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

from lab.errors import LabError
from tasks.errors import nearest

COMMANDS: dict[str, str] = {
    "tasks": "lab.cli.tasks",
    "tasks show": "lab.cli.tasks.show",
    "tasks draw": "lab.cli.tasks.draw",
    "tasks gallery": "lab.cli.tasks.gallery",
    "tasks export": "lab.cli.tasks.export",
    "tasks inspect": "lab.cli.tasks.inspect",
    "train": "lab.cli.train",
    "resume": "lab.cli.resume",
    "runs": "lab.cli.runs",
    "runs rm": "lab.cli.runs.rm",
    "runs mv": "lab.cli.runs.mv",
    "evaluate": "lab.cli.evaluate",
    "decode": "lab.cli.decode",
    "inspect": "lab.cli.inspect",
    "plot": "lab.cli.plot",
    "compare": "lab.cli.compare",
    "report": "lab.cli.report",
    "watch": "lab.cli.watch",
    "export": "lab.cli.export",
    "import": "lab.cli.import_llama",
    "sweep": "lab.cli.sweep",
    "reproduce": "lab.cli.reproduce",
    "demo": "lab.cli.demo",
    "completion": "lab.cli.completion",
}
"""The module of each command; its function `run(arguments)` returns the exit status."""
RENAMED = {"tasks certify": "tasks inspect"}
"""Earlier names of commands."""


def find_command(arguments: list[str]) -> tuple[str, list[str]]:
    """Find the command at the beginning of a command line, and return its name and the rest of the line.

    Raises:
        LabError: For an unknown command, or one that has another name now.
    """
    for count in (2, 1):
        name = " ".join(arguments[:count])
        if name in RENAMED:
            raise LabError(f"{name}: is now called {RENAMED[name]}")
        if name in COMMANDS:
            return name, arguments[count:]
    raise LabError(f"unknown command {arguments[0]!r}; {nearest(arguments[0], subcommands())}")


def run_command(arguments: list[str]) -> int:
    """Run the command at the beginning of a command line and return its exit status.

    Raises:
        LabError: For an unknown command, and whatever the command raises.
    """
    name, rest = find_command(arguments)
    status: int = importlib.import_module(COMMANDS[name]).run(rest)
    return status


def subcommands(command: str = "") -> dict[str, str]:
    """Return the commands of `lab`, or of one of its commands, each with the first line of its module's docstring.

    The modules are read and not imported, since they may import much.
    """
    begin = f"{command} " if command else ""
    names = [name.removeprefix(begin) for name in COMMANDS if name.startswith(begin)]
    return {name: _summary(COMMANDS[begin + name]) for name in names if " " not in name}


def table(command: str = "") -> str:
    """Return `subcommands` as indented lines."""
    lines = subcommands(command)
    width = max(map(len, lines))
    return "\n".join(f"  {name:<{width}}  {line}" for name, line in lines.items())


def _summary(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    assert docstring is not None, module
    return docstring.splitlines()[0].rstrip(".")
