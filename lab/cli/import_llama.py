"""Write a Llama of others as a run, for every instrument."""

from __future__ import annotations

from lab.cli.arguments import Parser, parse_task

_EXAMPLES = """\
DIR holds a Llama as `transformers` saves it (config.json, model.safetensors or its shards), as `lab export` or Fast-LLM writes
it with further prediction heads, or as the paper released it (params.json, consolidated.pth). Its tokens are the task's ids.

examples:
  lab import exports/first -o runs/again
  lab import my-llama --task induction --vocabulary 64 -o runs/mine
  lab inspect ablation runs/mine -o ablation.png

The run has no training: step 1 has the metrics of the network as it is.
In Python: lab.import_llama("my-llama", "runs/mine", task), or lab.read_llama("my-llama") for the network alone."""


def run(arguments: list[str]) -> int:
    """Write the run and print what the network achieves."""
    parser = Parser("import", "Write a Llama of others as a run, for every instrument.", epilog=_EXAMPLES)
    parser.add_argument("folder", metavar="DIR", help="folder of the Llama")
    parser.add_argument("-o", "--out", metavar="RUN", required=True, help="new folder of the run")
    parser.add_argument(
        "--task", help="task whose tokens the Llama reads; its settings follow as --NAME VALUE (the task of an export of ours)"
    )
    args, rest = parser.parse_known_args(arguments)
    if args.task is None and rest:
        parser.error(f"{rest[0]} is a setting of a task, which --task names")

    from lab.cli.train import describe_end
    from lab.exchange import import_llama

    print(describe_end(import_llama(args.folder, args.out, None if args.task is None else parse_task(args.task, rest))))
    return 0
