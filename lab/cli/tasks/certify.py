"""`lab tasks certify`: what can be said of a task's data at the settings at hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.cli.tasks.chosen import chosen, parser_for
from tasks import SPLITS
from tasks.report import DataReport, inspect_data


def run(arguments: list[str]) -> int:
    """Print a certificate, and write it if asked."""
    parser = parser_for("certify", "Count instances, measure overlap between splits; chance, floor and share of each role.")
    parser.add_argument("--drawn", type=int, default=4000, help="rows of each split to look at (4000)")
    parser.add_argument("--seed", type=int, default=0, help="of the streams they are drawn from (0)")
    parser.add_argument("-o", "--out", metavar="FILE", help="a .json with all of it")
    parser.add_force()
    task, known = chosen(parser, arguments)
    from lab.runs.files import write_json
    from lab.runs.outputs import check_file

    if known.out is not None:
        check_file(Path(known.out), (".json",), begins='{\n "task": {\n  "name": ', force=known.force)
    report = inspect_data(task, known.drawn, known.seed)
    _print(report)
    if known.out is not None:
        write_json(Path(known.out), dataclasses.asdict(report))
        print(known.out)
    return 0


def _print(found: DataReport) -> None:
    console = Console(highlight=False)
    name, *settings = (f"{key} {value}" for key, value in found.task.items())
    console.print(f"[bold]{name.removeprefix('name ')}[/]: {', '.join(settings)}", markup=True)
    facts = {
        "different instances": f"{in_words(found.instances)} ({found.instances_are})",
        "in two splits": f"{sum(found.overlap.values())} instances, of {found.drawn} rows drawn of each",
        "met again": f"{found.met_again:.1%} of {found.drawn} training rows are among {found.drawn} others",
        "tokens of an instance": f"{found.shortest} to {found.longest}",
        **{fact: in_words(count) for fact, count in found.facts.items()},
        "throughput": f"{found.tokens_per_second / 1e6:.2f} million tokens/s",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for fact, value in facts.items():
        table.add_row(fact, value)
    console.print(table)
    strata = Table("stratum", box=None, pad_edge=False, header_style="bold")
    for title in ("stated", *SPLITS):
        strata.add_column(title, justify="right")
    for name, stratum in found.strata.items():
        mark = {"exact": "", "about": "~", "seen": ">="}[stratum.instances_are]
        shares = (f"{stratum.drawn[split]:.3f} ({mark}{in_words(stratum.instances[split])})" for split in SPLITS)
        strata.add_row(name, f"{stratum.chance:.3f}", *shares)
    console.print("\nshare of each stratum (different instances) in each split", strata, sep="\n")
    roles = Table("role", box=None, pad_edge=False, header_style="bold")
    for title in ("share", "chance", "floor", *SPLITS):
        roles.add_column(title, justify="right")
    for role, facts_of in found.roles.items():
        optimum = [(facts_of.optimum or {}).get(split) for split in SPLITS]
        values = ("-" if value is None else f"{value:.4g}" for value in (facts_of.chance, facts_of.floor, *optimum))
        roles.add_row(role, f"{facts_of.share:.4f}", *values)
    console.print("\nfloor of each role and mean loss of the optimal predictor in each split, in nats", roles, sep="\n")


def in_words(number: int) -> str:
    """A count for people: exact below a billion, then three digits and the magnitude."""
    digits = str(number)
    return f"{number:,}" if number < 10**9 else f"{digits[0]}.{digits[1:3]} x 10^{len(digits) - 1}"
