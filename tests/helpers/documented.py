"""Commands and Python code of a page of documentation, and smaller settings for them."""

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4,}\S.*\n(?:\s*\n(?= {4}))*)+", re.MULTILINE)
_COMMAND = re.compile(r"^(?:\$ )?lab (.*)$")
_COMMENT = re.compile(r"\s{2,}[^-\s\"'].*$")
"""A remark on a command, after two spaces."""

TINY = {
    "train": "--steps 5 --evaluation.every 5 --evaluation.examples 4 --batch-size 4 --width 8 --n-heads 2 --seeds 0:2",
    "tasks export": "--size 3",
    "tasks inspect": "--drawn 50",
    "inspect": "--sequences 16",
    "decode": "--rows 2",
}
"""Options with smaller values, by command."""
NOT_ADDED = {"train": ("--seeds",)}
"""Options of `TINY` that replace a value in a line but are never added to one, by command."""


class Step(NamedTuple):
    """A command or a piece of Python code of a page.

    Attributes:
        text: The text on the page.
        is_python: Whether it is Python code.
    """

    text: str
    is_python: bool


def steps_of(page: Path) -> Iterator[Step]:
    """Yield the commands and the Python code of a page, in order."""
    text = page.read_text(encoding="utf-8")
    blocks = [(match.start(), match[2]) for match in _FENCED.finditer(text) if match[1] in ("python", "")]
    plain = _FENCED.sub(lambda match: " " * len(match[0]), text)
    blocks += [(match.start(), textwrap.dedent(match[0])) for match in _INDENTED.finditer(plain)]
    for _, block in sorted(blocks):
        if _is_python(block):
            yield Step(block, is_python=True)
        else:
            for line in block.splitlines():
                if match := _COMMAND.match(line.strip()):
                    yield Step(f"lab {_COMMENT.sub('', match[1])}", is_python=False)


def _is_python(block: str) -> bool:
    try:
        tree = ast.parse(block)
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.Call, ast.Import, ast.ImportFrom)) for node in ast.walk(tree))


def shrink(line: str) -> tuple[list[str], str | None]:
    """Return the words of a command after `lab`, with the values of `TINY`, and the file that its output goes to."""
    words, target = shlex.split(line)[1:], None
    if ">" in words:
        at = words.index(">")
        words, target = words[:at], words[at + 1]
    command = next((name for name in TINY if " ".join(words).startswith(f"{name} ")), None)
    if command is None or (words[2:3] and words[2].endswith(".csv")):  # a frame was measured before
        return words, target
    tiny = TINY[command].split()
    for option, value in zip(tiny[::2], tiny[1::2], strict=True):
        if option in words:
            words[words.index(option) + 1] = value
        elif option not in NOT_ADDED.get(command, ()):
            words += [option, value]
    return words, target
