"""Write a run's network for `transformers`."""

from __future__ import annotations

from lab.cli.arguments import Parser

_EXAMPLES = """\
The folder holds a Llama (config.json, model.safetensors, a tokenizer of the task's words, a model card) with the next-token
logits of the run; all prediction heads stand beside it in original/, in the layout of the paper's release.

examples:
  lab export runs/first -o exports/first
  lab export runs/first --step 500 --heads 1 -o exports/first-500

In Python: lab.export("runs/first", "exports/first"). docs/transformers.md shows how to load it."""


def run(arguments: list[str]) -> int:
    """Write the folder and print its path."""
    parser = Parser("export", "Write a run's network for `transformers`.", epilog=_EXAMPLES)
    parser.add_argument("run", help="a finished run")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="new folder of the export")
    parser.add_argument("--to", choices=["hf"], default="hf", help="format: hf, a Llama of Hugging Face's transformers (hf)")
    parser.add_argument("--step", type=int, metavar="N", help="kept weights after N optimiser steps (the last)")
    parser.add_argument("--heads", type=int, metavar="N", help="export prediction heads 1 to N; 1: the Llama alone (all)")
    args = parser.parse_args(arguments)

    from lab.exchange import export

    print(export(args.run, args.out, step="last" if args.step is None else args.step, heads=args.heads))
    return 0
