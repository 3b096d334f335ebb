"""Count instances, measure overlap between splits, chance, floors and speed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.cli.tasks.arguments import parse_arguments, task_parser
from tasks import SPLITS
from tasks.report import DataReport, inspect_data


def run(arguments: list[str]) -> int:
    """Print the report on a task's data, and write it if asked."""
    parser = task_parser("inspect", __doc__, "star", "modular --p 23 --drawn 1000 -o modular.json")
    parser.add_argument("--drawn", type=int, default=4000, help="sequences drawn from each split (4000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the stream of sequences (0)")
    parser.add_argument("-o", "--out", metavar="FILE", help="a .json for the whole report")
    parser.add_force()
    task, args = parse_arguments(parser, arguments)
    from lab.runs.files import write_json
    from lab.runs.outputs import check_file

    if args.out is not None:
        check_file(Path(args.out), (".json",), begins='{\n "task": {\n  "name": ', force=args.force)
    report = inspect_data(task, args.drawn, args.seed)
    _print(report)
    if args.out is not None:
        write_json(Path(args.out), dataclasses.asdict(report))
        print(args.out)
    return 0


def _print(found: DataReport) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    name, *settings = (f"{key} {value}" for key, value in found.task.items())
    console.print(Text.assemble((name.removeprefix("name "), "bold"), f": {', '.join(settings)}"))
    facts = {
        "different instances": f"{format_count(found.instances)} ({found.instances_are})",
        "in two splits": f"{sum(found.overlap.values())} instances, of {found.drawn} rows drawn of each",
        "met again": f"{found.met_again:.1%} of {found.drawn} training rows are among {found.drawn} others",
        "tokens of an instance": f"{found.shortest} to {found.longest}",
        **{fact: format_count(count) for fact, count in found.facts.items()},
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
        shares = (f"{stratum.drawn[split]:.3f} ({mark}{format_count(stratum.instances[split])})" for split in SPLITS)
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


def format_count(number: int) -> str:
    """Format a count: exact below a billion, then three digits and the magnitude."""
    digits = str(number)
    return f"{number:,}" if number < 10**9 else f"{digits[0]}.{digits[1:3]} x 10^{len(digits) - 1}"
