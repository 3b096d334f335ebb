"""The output of a notebook's cell."""

from __future__ import annotations

from typing import Any


class Output:
    """A place in the output of the cell that runs, whose content is replaced."""

    def __init__(self) -> None:
        import IPython.display

        library: Any = IPython.display  # it has no types
        self._handle = library.display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, html: str, text: str) -> None:
        """Replace the content.

        Args:
            html: Shown by a notebook.
            text: Shown by a viewer without HTML.
        """
        self._handle.update({"text/html": html, "text/plain": text}, raw=True)
