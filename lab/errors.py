"""The one error of the laboratory that a user should see as a line, not as a traceback."""

from __future__ import annotations


class LabError(Exception):
    """A wrong setting, file or folder; the message is one line that names it and says what is allowed."""
