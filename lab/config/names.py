"""Names of settings: the dotted ones, short ones for those that are often changed, and those of earlier versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.errors import LabError

SHORT = {
    "size": "model.size",
    "width": "model.width",
    "layers": "model.layers",
    "n_heads": "model.n_heads",
    "heads": "model.heads",
    "matched": "model.matched",
    "lr": "optimiser.peak_lr",
    "warmup": "schedule.warmup_steps",
    "objective": "objective.name",
}
"""Dotted names of settings by their short ones."""
RENAMED = {
    "accumulate": "grad_accum_steps",
    "evaluation.induction_scores": "evaluation.measures.induction",
    "evaluation.gradient_audit": "evaluation.measures.gradients",
}
"""New names of settings by their old ones, which files of earlier versions have."""


def full_name(name: str, value: Any = None) -> str:
    """Return the dotted name of a setting.

    Args:
        name: Short or dotted, with underscores.
        value: Its value, if there is one; a mapping given for `objective` is the group, not the objective's name.
    """
    full = SHORT.get(name, name)
    return name if isinstance(value, Mapping) and full.startswith(f"{name}.") else full


def expand(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace short names by dotted ones; everything else keeps its name and position.

    Raises:
        LabError: If a setting is given by both of its names.
    """
    expanded: dict[str, Any] = {}
    for name, value in settings.items():
        full = full_name(name, value)
        if full != name and _is_given(settings, full):
            raise LabError(f"setting {full} is given twice, once as {name}")
        expanded[full] = value
    return expanded


def rename_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings their present, dotted names.

    Args:
        settings: Nested, dotted, or both; with short and with earlier names.

    Returns:
        The same settings; one that had an earlier name stands by its dotted name, after all others.

    Raises:
        LabError: If a setting is given by two of its names.
    """
    kept, others = _split(expand(settings), "")
    renamed: dict[str, Any] = {}
    for old, value in others:
        new = RENAMED[old]
        if new in renamed or _is_given(kept, new):
            raise LabError(f"setting {new} is given twice, once as {old}")
        renamed[new] = int(value) if isinstance(value, bool) else value  # a measure was true or false
    return kept | renamed


def _split(settings: Mapping[str, Any], group: str) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Separate the settings that have earlier names, which are dotted here."""
    kept: dict[str, Any] = {}
    others: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if f"{group}{name}" in RENAMED:
            others.append((f"{group}{name}", value))
        elif isinstance(value, Mapping):
            kept[name], inner = _split(value, f"{group}{name}.")
            others += inner
        else:
            kept[name] = value
    return kept, others


def _is_given(settings: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting is among nested ones."""
    return name in settings or any(
        isinstance(settings.get(group), Mapping) and _is_given(settings[group], rest) for group, rest in _cuts(name)
    )


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a dotted name as a group and a name within it."""
    parts = name.split(".")
    yield from ((".".join(parts[:count]), ".".join(parts[count:])) for count in range(1, len(parts)))
