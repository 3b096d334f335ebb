"""The settings of an experiment as options of a help, grouped under headings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import tasks
from lab import config
from lab.cli.arguments import Parser
from lab.config.names import SHORT
from lab.config.overview import Described, defaults_of, describe_settings, describe_task

GROUPS = ("model", "objective", "optimiser", "schedule", "evaluation", "checkpoint")
"""Headings, by the first part of a setting's name; all other settings are the run's."""


def add_settings(parser: Parser, task: str | None) -> None:
    """Describe every setting of an experiment as an option of the parser, with the defaults of a task.

    Args:
        parser: Of a command that takes settings; a parser that parses leaves them to `parse_settings`.
        task: The task whose settings and defaults are meant; None for the general defaults.

    Raises:
        TaskError: For an unknown task.
    """
    defaults = {}
    if task is not None:
        described = list(describe_task(tasks.find(task)))
        defaults = defaults_of(config.experiment(task)) | {each.name: each.default for each in described}
        add_group(parser, f"task {task}", described, defaults)
    groups: dict[str, list[Described]] = {name: [] for name in (*GROUPS, "run")}
    for each in describe_settings():
        first = each.name.partition(".")[0]
        groups[first if first in GROUPS else "run"].append(each)
    for title, described in groups.items():
        add_group(parser, title, described, defaults)


def add_group(parser: Parser, title: str, described: Sequence[Described], defaults: dict[str, str]) -> None:
    """Describe some settings under a heading.

    Args:
        parser: The parser.
        title: The heading.
        described: The settings.
        defaults: Default values by name, which replace the general ones.
    """
    short = {full: name for name, full in SHORT.items()}
    group = parser.add_argument_group(title)
    for each in described:
        names = [short.get(each.name), each.name]
        facts = [each.allowed, f"default {defaults.get(each.name, each.default)}"]
        group.add_argument(
            *(f"--{name.replace('_', '-')}" for name in names if name),
            dest=f"setting {each.name}",
            metavar="VALUE",
            choices=_choices(each.allowed),
            help=f"{each.meaning} ({'; '.join(filter(None, facts))})".replace("%", "%%").lstrip(),
        )


def _choices(allowed: str) -> list[str] | None:
    """Return the words of a description that lists values, for completion; None for a range."""
    values = [value for value in re.split(", | or ", allowed) if not re.search("[ :]", value)]
    return values if len(values) > 1 else None
