"""Print a script that completes `lab` in a shell."""

from __future__ import annotations

from lab.cli.arguments import Parser
from lab.cli.completion.scripts import SCRIPTS
from lab.cli.completion.words import collect
from lab.cli.output import write_data

_EXAMPLES = """\
examples:
  lab completion bash > ~/.local/share/bash-completion/completions/lab
  lab completion zsh > ~/.zfunc/_lab                         where fpath has ~/.zfunc
  lab completion fish > ~/.config/fish/completions/lab.fish

The script completes commands, options and their values, tasks, figures, instruments, studies and paths. It has all words in it
and asks no Python, so that a completion takes no time; print it again after an update."""


def run(arguments: list[str]) -> int:
    """Print the script of a shell."""
    parser = Parser("completion", "Print a script that completes `lab` in a shell.", epilog=_EXAMPLES)
    parser.add_argument("shell", choices=list(SCRIPTS), help=", ".join(SCRIPTS))
    args = parser.parse_args(arguments)
    write_data(SCRIPTS[args.shell](collect()))
    return 0
