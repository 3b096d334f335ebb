"""The command `lab`: runs a command and turns every error that a user can mend into one line."""

from __future__ import annotations

import atexit
import gc
import re
import sys

from lab.cli.commands import run_command, table
from lab.cli.output import complain, standard_output
from lab.errors import Diverged, Interrupted, LabError, Occupied
from lab.processes import SIGNALLED, end, handling, rank, signal_of
from tasks.errors import TaskError

DIVERGED, WRONG = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit status: 0, 1 for runs that diverged or failed, 2 for wrong input, which one line names, 130 after Ctrl-C, 143 after
        SIGTERM, 129 after SIGHUP.
    """
    atexit.register(gc.freeze)  # with torch, Python's last collections of garbage take a second of a process that ends
    with standard_output() as output:
        status = _status(sys.argv[1:] if arguments is None else arguments)
    if output.error is None or isinstance(output.error, BrokenPipeError):  # the reader, as `head`, has seen enough
        return status
    complain(f"standard output: {output.error.strerror}")
    return status or WRONG


def _status(arguments: list[str]) -> int:
    """Run a command; every error that a user can mend becomes one line."""
    if arguments[:1] == ["help"]:  # lab help tasks show
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"lab {version('mtp-lab')}")
        return 0
    if "" not in sys.path:
        sys.path.append("")  # the working directory, last: a user's own `my_tasks:Reverse` is found there and hides nothing
    try:
        with handling(end):
            return run_command(arguments)
    except SystemExit as ended:  # argparse after --help
        return ended.code if isinstance(ended.code, int) else 0
    except Interrupted as error:
        if rank() == 0:  # one of the processes that train a run reports for all
            complain(str(error))
        return SIGNALLED + error.number
    except Diverged as error:
        if rank() == 0:
            complain(str(error))
        return DIVERGED
    except Occupied as error:
        complain(f"{error}; choose another --{error.argument}{', or --force replaces it' if error.forcible else ''}")
        return WRONG
    except (LabError, TaskError) as error:
        complain(str(error))
        return WRONG
    except OSError as error:  # a name that is too long, a disk that is full, ...
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part is not None))
        return WRONG
    except (MemoryError, RuntimeError) as error:  # NumPy's and torch's
        if isinstance(error, RuntimeError) and not re.search("allocate memory|out of memory", str(error)):
            raise
        complain(f"not enough memory: {error}")
        return WRONG
    except KeyboardInterrupt as error:
        complain("interrupted")
        return SIGNALLED + signal_of(error)


def usage() -> str:
    """Return the help of `lab` itself."""
    return (
        "usage: lab COMMAND ...\n\nA laboratory for multi-token prediction.\n\n"
        f"{table()}\n\n`lab COMMAND --help` describes a command. Wrong input: one line and exit status 2."
    )


if __name__ == "__main__":
    sys.exit(main())
