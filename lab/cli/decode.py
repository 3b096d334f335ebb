"""Complete prompts with a run's network, several tokens a forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.arguments import Parser
from lab.errors import LabError, check_count

if TYPE_CHECKING:
    import pandas as pd
    from rich.text import Text

    from lab.decoding import Sampling, Tree
    from lab.evaluation.decode import Decoded
    from lab.runs import Run
    from tasks import Task

_EXAMPLES = """\
Heads 2 to K draft tokens and head 1 verifies them, so that the output is that of head 1 alone. Accepted drafts are green;
without a terminal they have a + before them. docs/decoding.md explains the numbers.

examples:
  lab decode runs/first                                      all heads, prompts from held-out sequences
  lab decode runs/first --heads 2 --rows 64 -o first.csv     heads 1 and 2, and the numbers as a file
  lab decode runs/first --nodes 8 --save-tree tree.json      a tree of 8 drafted tokens, derived on the validation split
  lab decode runs/first --tree tree.json --temperature 0.8 --top-p 0.9 --seed 1
  lab decode runs/first --prompts prompts.txt                a prompt on each line, in the words of lab tasks show"""
_SHOWN = 8
"""Completions that are printed."""
_TIMED = 3
"""Rounds of timing."""


def run(arguments: list[str]) -> int:
    """Complete prompts, print some of them and what the drafts gave, and write the numbers if asked."""
    args = _parser().parse_args(arguments)
    _check(args)

    from lab.evaluation.decode import decode, time_decoding
    from lab.evaluation.drafts import open_finished
    from lab.runs.files import write_atomic
    from lab.runs.outputs import check_file

    if args.out is not None:
        check_file(Path(args.out), (".csv",), begins="run,heads,nodes,batch,", force=args.force)
    if args.save_tree is not None:
        check_file(Path(args.save_tree), (".json",), begins='{"format": ', force=args.force)
    opened = open_finished(args.run)
    sampling = _sampling(args)
    own = None if args.prompts is None else _read_prompts(Path(args.prompts), opened.experiment.task)
    prompts = args.rows if own is None else own
    draft = _draft(args, opened)
    decoded = decode(opened, draft=draft, prompts=prompts, new_tokens=args.new_tokens, sampling=sampling)
    frame = decoded.frame
    if decoded.tree is not None:
        timed = time_decoding(opened, drafts=[decoded.tree], prompts=own, new_tokens=args.new_tokens, rounds=_TIMED)
        frame = _with_times(frame, timed)
    _print(decoded, frame, opened.experiment.task, sampling)
    if args.save_tree is not None and decoded.tree is not None:
        write_atomic(Path(args.save_tree), decoded.tree.to_json(opened.experiment.n_future) + "\n")
        print(args.save_tree)
    if args.out is not None:
        write_atomic(Path(args.out), frame.to_csv(index=False))
        print(args.out)
    return 0


def _parser() -> Parser:
    parser = Parser("decode", "Complete prompts with a run's network, several tokens a forward pass.", epilog=_EXAMPLES)
    parser.add_argument("run", help="a finished run")
    draft = parser.add_argument_group("drafts (one of these; all heads, blockwise)")
    draft.add_argument("--heads", type=int, metavar="K", help="prediction heads to use, head 1 included; 1: head 1 alone")
    draft.add_argument("--nodes", type=int, metavar="M", help="derive a tree of M drafted tokens on the validation split")
    draft.add_argument("--tree", metavar="FILE", help="a tree that --save-tree wrote")
    drawn = parser.add_argument_group("sampling (greedy without --temperature)")
    drawn.add_argument("--temperature", type=float, metavar="T", help="divides the logits; 1: the network's own distribution")
    drawn.add_argument("--top-k", type=int, metavar="K", help="draw from the K most probable tokens (all)")
    drawn.add_argument("--top-p", type=float, metavar="P", help="draw from the most probable tokens of this sum (1)")
    drawn.add_argument("--seed", type=int, help="of the draws (0)")
    parser.add_argument("--prompts", metavar="FILE", help="a prompt on each line (the beginnings of held-out sequences)")
    parser.add_argument("--rows", type=int, default=16, help="number of held-out sequences (16)")
    parser.add_argument("--new-tokens", type=int, metavar="N", help="tokens that each prompt gets (up to the task's length)")
    parser.add_argument("--save-tree", metavar="FILE", help="a .json for the tree that was used")
    parser.add_argument("-o", "--out", metavar="FILE", help="a .csv for the numbers")
    parser.add_force()
    return parser


def _check(args: Any) -> None:
    """Reject options that exclude or need one another."""
    given = [name for name in ("heads", "nodes", "tree") if getattr(args, name) is not None]
    if len(given) > 1:
        raise LabError(f"decode: --{given[0]} and --{given[1]} each say what is drafted: give one")
    check_count("decode: --rows", args.rows)
    if args.save_tree is not None and args.heads == 1:
        raise LabError("decode: --save-tree needs a draft, and head 1 alone makes none")
    for name in ("top_k", "top_p", "seed"):
        if getattr(args, name) is not None and args.temperature is None:
            raise LabError(
                f"decode: --{name.replace('_', '-')} needs --temperature: without it the most probable token is taken"
            )


def _sampling(args: Any) -> Sampling | None:
    if args.temperature is None:
        return None
    from lab.decoding import Sampling

    given = {name: getattr(args, name) for name in ("top_k", "top_p", "seed") if getattr(args, name) is not None}
    return Sampling(args.temperature, **given)


def _draft(args: Any, run: Run) -> int | Tree | None:
    if args.nodes is not None:
        from lab.evaluation.decode import calibrate

        return calibrate(run, args.nodes)
    if args.tree is None:
        heads: int | None = args.heads
        return heads
    from lab.decoding import Tree

    return Tree.from_json(_read(Path(args.tree)), run.experiment.n_future)


def _read_prompts(path: Path, task: Task) -> list[list[int]]:
    """Read a prompt from each line.

    Raises:
        LabError: If the file cannot be read, has no line, or a line has no word or a word that is none of the task's.
    """
    from tasks.errors import TaskError

    prompts = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        try:
            tokens = task.encode(line).tolist()
        except TaskError as error:
            raise LabError(f"{path}, line {number}: {error}") from error
        if not 1 <= len(tokens) < task.length:
            raise LabError(f"{path}, line {number}: a prompt must have 1 to {task.length - 1} words, not {len(tokens)}")
        prompts.append(tokens)
    if not prompts:
        raise LabError(f"{path}: has no prompt")
    return prompts


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: {getattr(error, 'strerror', None) or 'not a text file'}") from error


def _with_times(frame: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the speed-up of one sequence at a time."""
    import pandas as pd

    return pd.concat([frame, times[times["metric"] == "speedup"]], ignore_index=True)


def _print(decoded: Decoded, frame: pd.DataFrame, task: Task, sampling: Sampling | None) -> None:
    from rich.console import Console

    from lab.cli.table import print_frame

    console = Console(highlight=False)
    for number in range(min(_SHOWN, len(decoded.text))):
        console.print(_completion(decoded, number, plain=not console.is_terminal))
    if len(decoded.text) > _SHOWN:
        console.print(f"... and {len(decoded.text) - _SHOWN} more")
    console.print()
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    for line in _lines(decoded, values, sampling):
        console.print(line, soft_wrap=True)
    if decoded.tree is not None:
        console.print()
        print_frame(console, _head_table(values, decoded.tree.heads))
        roles = _role_table(values, decoded.tree.heads, task)
        if len(roles):
            console.print("\nacceptance rate given reached, by the role of the token that was written")
            print_frame(console, roles)


def _completion(decoded: Decoded, number: int, *, plain: bool) -> Text:
    """Format a completion: the prompt, a bar, the new words."""
    from rich.text import Text

    marks, text = decoded.completion.is_draft()[number].tolist(), Text(f"{number + 1:>3}  ")
    begin = decoded.completion.prompts[number]
    for position, word in enumerate(decoded.text[number]):
        if position == begin:
            text.append("| ", style="bold")
        if position < begin:
            text.append(f"{word} ", style="dim")
        elif marks[position]:
            text.append(f"{'+' if plain else ''}{word} ", style="green")
        else:
            text.append(f"{word} ")
    return text


def _lines(decoded: Decoded, values: dict[str, float], sampling: Sampling | None) -> list[str]:
    """Return what is said of all completions."""
    passes = f"{values['new_tokens']:.0f} tokens in {values['forwards']:.0f} forward passes"
    lines = [f"{passes}: {values['tokens_per_forward']:.2f} tokens per forward"]
    if decoded.tree is None:
        return lines
    shape = "blockwise" if decoded.tree.is_chain else f"a tree of {len(decoded.tree.paths)} nodes"
    lines.append(f"{decoded.tree.heads} heads used, {shape}; mean acceptance length {values['mean_acceptance_length']:.2f}")
    lines.append(
        f"speed-up in wall time against head 1 with the same cache, one sequence at a time, greedy: {values['speedup']:.2f}"
    )
    if sampling is None:
        ties = f"{len(decoded.differences)} of {len(decoded.text)} sequences differ from head 1 alone"
        gaps = "".join(
            f"; sequence {each.sequence + 1} by a gap of {each.gap:.1g} in the logits" for each in decoded.differences
        )
        lines.append(f"{ties}{gaps} (smallest gap between the two best logits: {values['smallest_gap']:.2g})")
    return lines


def _head_table(values: dict[str, float], heads: int) -> pd.DataFrame:
    """Return one row for each head that drafts."""
    import pandas as pd

    rows = [
        {
            "head": head,
            "drafted": f"{values[f'drafted/{head}']:.0f}",
            "accepted": f"{values[f'accepted/{head}']:.0f}",
            "acceptance rate": f"{values[f'acceptance/{head}']:.2f}",
            "given reached": f"{values[f'acceptance_given_reached/all/{head}']:.2f}",
        }
        for head in range(2, heads + 1)
    ]
    return pd.DataFrame(rows)


def _role_table(values: dict[str, float], heads: int, task: Task) -> pd.DataFrame:
    """Return one row for each role that was written; none where the task cannot state the roles of written tokens."""
    import pandas as pd

    rows = []
    for role in task.roles[1:]:
        rates = {f"head {head}": values.get(f"acceptance_given_reached/{role}/{head}") for head in range(2, heads + 1)}
        if any(rate is not None for rate in rates.values()):
            rows.append({"role": role} | {head: "" if rate is None else f"{rate:.2f}" for head, rate in rates.items()})
    return pd.DataFrame(rows)
