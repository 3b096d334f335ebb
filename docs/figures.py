"""The page of figures: each with its options, and those of published frames with their picture at paper size."""

from __future__ import annotations

import contextlib
import inspect
import io
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import plots
from lab.cli.commands import run_command

PICTURES = {
    "emergence": "results/agreement/frame.csv.gz --by arm --width column",
    "survival": "results/agreement/frame.csv.gz --by arm --width column",
    "grid": "results/fig7/frame.csv.gz --width page",
    "size": "results/fig7/frame.csv.gz --by n_future,lr --width column",
    "pareto": "results/fig7/frame.csv.gz --cost flops --width column",
    "importance": "results/fig7/frame.csv.gz --width column",
    "parallel": "results/fig7/frame.csv.gz --width page",
}
"""What `lab plot NAME` draws for the gallery, with its options: frames that are published in this repository."""
SHOWS = {
    "emergence": "With the verb last, n = 2 alone escapes within 3.1 M tokens; with the verb first, all learn at once.",
    "survival": "The same runs as shares that are still on the plateau, with the number that emerged in the legend.",
    "grid": "Accuracy at each size and rate, a cell for each configuration with its interval; white cells were not trained.",
    "size": "At the rate of n = 1 two heads copy better at 111 and 195 thousand parameters.",
    "pareto": "The same configurations against the cost of their training, with the front of the best.",
    "importance": "No bar passes its mark: ten configurations say little about which setting matters.",
    "parallel": "Every configuration as a line through its settings, the best darkest.",
}
"""What each picture shows."""
_PAGE = """\
# Figures

`lab plot NAME RUNS -o FILE` draws a figure of runs, of folders of runs or of one saved frame, and writes its numbers as CSV \
beside it.

## Pages

Every figure, and every figure of [`lab inspect`](../inspection.md), takes the options of a page:

| option | meaning |
| --- | --- |
| `--width` | `column` or `page` (one or two columns of a paper, 3.25 and 6.75 inches), or a length such as `85mm` or `3.3in` |
| `--height` | a length; by default one that suits the width |
| `--style` | `notebook`; `paper`, with text of 7 to 8.5 points; `talk`, with large text and thick lines |
| `--title` | a title above the figure |
| `--ylim` | limits of the vertical axis of the first panel, as `0.2,1` |
| `--label` | a text for a condition, as `'n = 1=next token'`; may be repeated |
| `--line` | a reference value, as `'best guess=0.41'`, of figures that draw some; may be repeated |
| `--per-seed` | a thin line for each seed in place of the band, of curves |

A figure that has no room on its page is rejected; nothing is smoothed.
In Python the same is one object: `plots.draw(plots.emergence, frame, metric, page=plots.Page(width="column", style="paper"))`.
"""


def figures_page(help_of: Callable[[str], str]) -> str:
    """List the figures with pictures and options.

    Args:
        help_of: Returns what `lab COMMAND --help` prints.
    """
    return "\n".join([_PAGE, *(_section(name, help_of(f"plot {name}")) for name in plots.FIGURES)])


def command_of(name: str) -> str:
    """Return the command that draws a picture."""
    return f"lab plot {name} {PICTURES[name]} --style paper -o {name}.png"


def figure_picture(name: str, root: Path) -> bytes:
    """Draw the picture of a figure with its command.

    Args:
        name: A key of `PICTURES`.
        root: Folder of the repository, whose frames are drawn.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = shlex.split(command_of(name))[1:]
        words[2], words[-1] = str(root / words[2]), str(Path(folder) / words[-1])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            failed = run_command(words)
        if failed:
            raise RuntimeError(f"{command_of(name)} fails")
        return Path(words[-1]).read_bytes()


def _section(name: str, options: str) -> str:
    draw = plots.FIGURES[name]
    path = f"{draw.__module__}.{draw.__qualname__}"
    description = (inspect.getdoc(draw) or "").partition("\n\nArgs:")[0]
    picture = ""
    if name in PICTURES:
        picture = f"""![{name}](../figures/{name}.png)

{SHOWS[name]}

    {command_of(name)}

"""
    return f"""## {name}

{description}

{picture}```text
{options}
```

In Python: [`{path}`][{path}].
"""
