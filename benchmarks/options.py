"""Make the command lines of benchmarks that are separate programs."""

from __future__ import annotations

import argparse


def make_parser(doc: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark.

    Args:
        doc: The docstring of its module, whose first line begins the help.
        rounds: Default of `--rounds`, for a benchmark that times steps and so has `--threads` too; None for neither option.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    if rounds is not None:
        parser.add_argument("--threads", type=int, default=1, help="threads of torch; a run of the laboratory has one")
        parser.add_argument("--rounds", type=int, default=rounds, help="rounds of interleaved timing")
    return parser
