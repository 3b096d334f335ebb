"""The errors of the laboratory that a user should see as a line, not as a traceback."""

from __future__ import annotations

import signal


class LabError(Exception):
    """A wrong setting, file or folder; the message is one line that names it and says what is allowed."""


class Interrupted(LabError):
    """A signal ended the work (Ctrl-C, SIGTERM, SIGHUP); its state is saved and the message says how to go on.

    Attributes:
        number: The signal; a command's exit status is 128 + number.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = int(number)
