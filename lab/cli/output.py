"""Standard output and messages that survive a full disk, a closed pipe and an ASCII terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO, cast

LONGEST = 2000
"""Characters of a message; of a longer one the middle is left out."""


class Output:
    """Standard output of a command: characters that it cannot encode are escaped, and an error ends the text, not the command.

    A training thus goes on when its log's disk is full or the reader of its pipe has ended.

    Attributes:
        error: The first error of the stream; nothing is written after it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.error: OSError | None = None
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, if there was no error before."""
        self._try(partial(self._stream.write, text))
        return len(text)

    def write_data(self, text: str) -> None:
        """Write text in UTF-8."""
        self.flush()
        self._try(partial(self._stream.buffer.write, text.encode()))

    def flush(self) -> None:
        """Pass on what is buffered."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # for Python's own flush at its end


@contextmanager
def standard_output() -> Iterator[Output]:
    """Replace `sys.stdout` by an `Output`; flushes it at the end."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        output = Output(sys.stdout or nowhere)
        with redirect_stdout(cast(TextIO, output)):
            try:
                yield output
            finally:
                output.flush()


def has_no_reader() -> bool:
    """Return whether the reader of standard output has ended, as `head` does."""
    return isinstance(cast(Output, sys.stdout).error, BrokenPipeError)


def write_data(text: str) -> None:
    """Write text that programs read back, in UTF-8 whatever the terminal's encoding."""
    cast(Output, sys.stdout).write_data(text)


def track(networks: Sequence[Any]) -> Iterable[Any]:
    """Iterate over networks; a terminal shows a bar on standard error, which vanishes at the end."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(networks, "measuring", console=console, transient=True, disable=not console.is_terminal)


def complain(message: str) -> None:
    """Print a message as one line on standard error, control characters escaped."""
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    if len(line) > LONGEST:
        line = f"{line[: LONGEST * 3 // 4]} ... {line[-LONGEST // 4 :]}"
    with suppress(OSError):
        print(f"lab: {line}", file=sys.stderr)
