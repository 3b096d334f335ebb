"""Figures of papers from nothing: each file plans its runs and says what they show.

A new one is one file here with `SCALES`, `sweep(scale)` and `report(runs, out)`, and one line in `REPRODUCTIONS`.
"""

from __future__ import annotations

REPRODUCTIONS: dict[str, str] = {
    "star": "lab.reproduce.star",
}
"""What `lab reproduce NAME` can do, and the module that does it."""
