"""The table of instruments: what each computes, from which module, and how it is drawn.

A new instrument is a function in `lab.interp`, one in `lab.plots`, and one line here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.registry import load_object
from tasks.errors import nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Instrument:
    """An instrument.

    Attributes:
        measure: `module:function` of a network, a task and options that returns a tidy frame.
        draw: `module:function` of such a frame for several runs that returns a figure and the table of its numbers.
        coordinates: Columns of the frame that identify a value.
        page: `module:function` of such a frame that returns a page of HTML; "" for none.
        summary: `module:function` of such a frame and the settings that distinguish conditions that returns tables by title,
            which the command prints; "" for none.
    """

    measure: str
    draw: str
    coordinates: tuple[str, ...]
    page: str = ""
    summary: str = ""

    def load_measure(self) -> Callable[..., pd.DataFrame]:
        """Import the function that measures."""
        measure: Callable[..., pd.DataFrame] = load_object(self.measure, "instrument")
        return measure

    def load_draw(self) -> Callable[..., tuple[Figure, pd.DataFrame]]:
        """Import the function that draws."""
        draw: Callable[..., tuple[Figure, pd.DataFrame]] = load_object(self.draw, "instrument")
        return draw


INSTRUMENTS: dict[str, Instrument] = {
    "ablation": Instrument(
        "lab.interp.ablation:ablation",
        "lab.plots.ablation:draw_ablation",
        ("component", "site", "attention_head", "quantity"),
        summary="lab.stats.strongest:strongest_components",
    ),
    "attention": Instrument(
        "lab.interp.attention:attention",
        "lab.plots.attention:draw_attention",
        ("sequence", "site", "attention_head", "query", "key", "query_word", "key_word", "query_role", "key_role"),
        page="lab.reports.attention:attention_page",
    ),
    "information": Instrument(
        "lab.interp.information:information", "lab.plots.information:draw_information", ("role", "source", "quantity")
    ),
    "offsets": Instrument(
        "lab.interp.offsets:offsets", "lab.plots.offsets:draw_offsets", ("site", "layer", "offset", "control")
    ),
    "patching": Instrument(
        "lab.interp.patching:patching",
        "lab.plots.patching:draw_patching",
        ("component", "site", "attention_head", "position", "role", "quantity"),
        summary="lab.stats.strongest:strongest_states",
    ),
    "probe": Instrument(
        "lab.interp.probe:probe",
        "lab.plots.probe:draw_probe",
        ("site", "layer", "position", "role", "target", "score", "control"),
    ),
    "choice-points": Instrument(
        "lab.interp.choice_points:choice_points",
        "lab.plots.choice_points:draw_choice_points",
        ("role", "quantity"),
        summary="lab.stats.summaries:choice_weights",
    ),
    "circuits": Instrument(
        "lab.interp.circuits:circuits",
        "lab.plots.circuits:draw_circuits",
        ("quantity", "site", "attention_head", "sender"),
        summary="lab.stats.circuits:circuit_orders",
    ),
    "derailing": Instrument(
        "lab.interp.derailing:derailing",
        "lab.plots.derailing:draw_derailing",
        ("quantity", "role", "position"),
        summary="lab.stats.summaries:answer_errors",
    ),
    "rank": Instrument("lab.interp.rank:rank", "lab.plots.rank:draw_rank", ("site", "layer")),
}
"""Every instrument by its name. Its description is the first line of its measure's docstring."""


def find_instrument(name: str) -> Instrument:
    """Return an instrument by its name.

    Raises:
        LabError: If there is none.
    """
    if name not in INSTRUMENTS:
        raise LabError(f"unknown instrument {name!r}; {nearest(name, INSTRUMENTS)}")
    return INSTRUMENTS[name]


def options_of(measure: Callable[..., object]) -> dict[str, object]:
    """Return the options of a measure with their defaults: its keyword-only arguments."""
    parameters = inspect.signature(measure).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
