"""Write the pages of the documentation that list the entries of a table in the code.

The pages exist in the site only, so that they cannot differ from the code.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

import lab
import tasks
from docs.figures import figures_page
from docs.markdown import code, first_line, number, table
from lab.cli.commands import COMMANDS, run_command
from lab.cli.main import usage
from lab.cli.tasks.draw import cells_of
from lab.config.evaluation import MEASURES
from lab.config.head_table import LAYERS, WIDTH, head_table, kind_table
from lab.config.names import SHORT
from lab.config.objective import WEIGHTS
from lab.config.objective_table import OBJECTIVES
from lab.config.overview import describe_settings, describe_task
from lab.interp.information import PARTS, task_information
from lab.metrics import QUANTITIES
from lab.objectives import Objective
from lab.plots import gallery
from lab.registry import load_entry
from lab.reproduce import STUDIES, Study
from lab.sweeping.spec.configurations import planned_trials
from tasks import Task
from tasks.core.insight import Insight

ROOT = Path(__file__).parents[1]
_FOLDERS = sorted(path.parent.name for path in ROOT.glob("lab/*/__init__.py"))
PACKAGES = ("tasks", *(f"lab.{name}" for name in _FOLDERS if name not in ("cli", "reproduce")))
"""Packages with an API page of their own."""


def settings_page() -> str:
    """List every setting of an experiment with its default, the allowed values and its meaning."""
    short = {full: name for name, full in SHORT.items()}
    groups: dict[str, list[Sequence[str]]] = {}
    for each in describe_settings():
        group = each.name.rpartition(".")[0] or "the run"
        row = (code(each.name), code(short.get(each.name)), code(each.default), each.allowed, each.meaning)
        groups.setdefault(group, []).append(row)
    columns = ["setting", "short", "default", "allowed", "meaning"]
    tables = "\n\n".join(f"## {group}\n\n{table(columns, rows)}" for group, rows in groups.items())
    return f"""# Settings

A setting is `--name VALUE` on the command line, a key of an experiment's YAML file, or of `lab.experiment(task, {{...}})`.
The defaults are those of `lab.Experiment`; `lab train TASK --help` shows the defaults of a task.
The settings of the tasks are on [their page](tasks.md).

{tables}
"""


def metrics_page() -> str:
    """List the kinds of metrics, and the measures that report them."""
    metrics = []
    for name, each in QUANTITIES.items():
        full = "/".join([name, *(f"<{part}>" for part in each.parts)])
        better = "lower" if each.lower_is_better else "higher"
        metrics.append((code(full), each.label, each.unit, better if each.unit and not each.describes else ""))
    measures = [(code(name), each.metrics, each.every or "off") for name, each in MEASURES.items()]
    return f"""# Metrics

[Metrics](../experiments.md#metrics) explains the names.
A name of a variant of the task begins with the variant, as `far:accuracy/copy/1`.
In a label `{{}}` stands for the rest of the name, such as the predictor of `kl/bayes`.

{table(["name", "label", "unit", "better"], metrics)}

## Measures

Loss and accuracy of every head and role are always measured.
`evaluation.measures` sets how often the other measures are taken; a measure of your own is `module:function`.

{table(["measure", "metrics", "default: every so many evaluation points"], measures)}
"""


def heads_page() -> str:
    """List the kinds of prediction heads, and their cost at equal parameters."""
    return f"""# Prediction heads

`model.heads` is one of these, or `module:name` of your own.
Head i computes h_i from the trunk's output z; its logits are U norm(h_i).
`Layer` is a whole transformer layer, W a d x d matrix, E the embedding, U the unembedding.
[Prediction heads](../heads.md) explains the kinds and what `model.matched` keeps equal.

{kind_table()}

## Cost at equal parameters

Width {WIDTH}, {LAYERS} layers, SwiGLU; FLOPs are those of training, forward and backward.

{head_table()}
"""


def objectives_page() -> str:
    """List the objectives and the rules for the weights of losses."""
    kinds, targets = [], []
    for name, kind in OBJECTIVES.items():
        objective = load_entry(kind.path, Objective, "objective.name")
        losses = ", ".join(map(code, kind.losses(2, 2)))
        kinds.append((code(name), kind.formula, kind.separates, kind.source))
        targets.append((code(name), losses, objective.predicts.format(i="i", window="window"), first_line(objective.targets)))
    rules = [
        (code(name), code([round(weight, 3) for weight in rule(4, 0.5)]), first_line(rule)) for name, rule in WEIGHTS.items()
    ]
    return f"""# Objectives

[Objectives](../objectives.md) explains what each one separates.

## `objective.name`: what is minimised

{table(["name", "loss beside the next token's", "separates", "source"], kinds)}

## Losses, and the targets of heads 2..n

The losses are those of n = 2 and window 2, in the order of `objective.weights`.

{table(["name", "losses", "head i predicts", "targets"], targets)}

## `objective.weights`: the weight of each loss

{table(["rule", "n = 4, extra weight 0.5", "meaning"], rules)}
"""


def studies_page() -> str:
    """List the studies with their question, their runs, and the page of their findings, if they have one."""
    rows = []
    for name, entry in STUDIES.items():
        study = load_entry(entry.path, Study, "study")
        first, *others = study.scales  # the others are parts of it, or the paper's
        runs = sum(planned_trials(stage.largest) or 0 for stage in study.stages(first))
        found = f"[{name}](../results/{name}/README.md)" if (ROOT / "results" / name / "README.md").exists() else ""
        rows.append((code(name), entry.question, runs, ", ".join(map(code, others)), found))
    return f"""# Studies

`lab reproduce NAME` trains the runs of a study and writes its figures, tables and page.
The same command resumes after any stop.
`lab reproduce NAME --plan` prints their number and how long they take; the table has the most that a study can need.
Each study states what was expected before its first run.

{table(["study", "question", "runs", "other scales", "finding"], rows)}
"""


def help_of(command: str) -> str:
    """Return what `lab COMMAND --help` prints."""
    os.environ["COLUMNS"] = "88"
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        run_command([*command.split(), "--help"])
    return output.getvalue().strip()


def commands_page() -> str:
    """Print the help of every command."""
    helps = {"": usage(), **{f" {name}": help_of(name) for name in COMMANDS}}
    return "# Commands\n\n" + "\n\n".join(f"## lab{name}\n\n```text\n{text}\n```" for name, text in helps.items())


def tasks_page() -> str:
    """Show every task: what instruments can ask of it, a picture, its settings and its roles."""
    questions = [(f"[{name}](#{name})", *_answers(tasks.get(name))) for name in tasks.TASKS]
    return f"""# Tasks

What [instruments can ask](../tasks.md#what-instruments-ask) of each task at its default settings:

{table(["task", "contrast", "latents", "joint", "consistent"], questions)}

{"".join(_task_section(name) for name in tasks.TASKS)}"""


def _answers(task: Task) -> tuple[str, str, str, str]:
    """Say which of the questions of instruments a task answers."""
    batch, last = task.batch(0, 0, 8), task.length - 3
    known = sum(task.joint(batch, position) is not None for position in range(last + 1))
    return (
        "yes" if task.contrast(batch) is not None else "",
        ", ".join(map(code, task.latents(batch))),
        "" if not known else "everywhere" if known == last + 1 else f"at {known} of {last + 1} positions",
        "yes" if task.consistent(batch.tokens) is not None else "",
    )


def information_page() -> str:
    """Show the exact decomposition of the next two tokens of every task that knows their distribution."""
    rows = []
    for name in tasks.TASKS:
        for each in task_information(tasks.get(name), sequences=128).itertuples(index=False):
            role, contexts, scored, *parts = each
            numbers = [f"{value + 0.0:.3f}" for value in np.round(parts, 3)]
            rows.append((f"[{name}](tasks.md#{name})", code(role), contexts, f"{scored:.0%}", *numbers))
    return f"""# Information

The [decomposition](../inspection.md#information-what-is-counted-twice) of the next token X and the one after it, Y, in nats.
Every task that knows their exact distribution is at its default settings.
Values are means over the contexts in 128 validation sequences, by the role of X.
`scored` is the share of contexts in which both tokens train.
Contexts whose distribution the task does not know are left out.

{table(["task", "role of X", "contexts", "scored", *PARTS.values()], rows)}
"""


def _task_section(name: str) -> str:
    task = tasks.get(name)
    settings = [
        (code(each.name.removeprefix("task.")), code(each.default), each.allowed, each.meaning)
        for each in describe_task(type(task))
    ]
    roles = [
        (code(role), task.role_label(role), number(task.floor(role)), number(task.chance(role)), _plateaus(task, role))
        for role in task.roles[1:]
    ]
    answers = [
        (code(question), first_line(getattr(task, question)))
        for question in ("contrast", "latents", "next_distribution", "consistent")
        if getattr(type(task), question) is not getattr(Insight, question)
    ]
    return f"""## {name}

{task.summary[0].upper()}{task.summary[1:]}.
[About this task](../tasks.md#{name}) · source: {task.source}

![{name}](../tasks/{name}.png)

{table(["role", "targets", "floor (nats)", "chance", "plateau"], roles)}

{table(["setting", "default", "allowed", "meaning"], settings)}

{table(["question", "answer"], answers) if answers else ""}

"""


def _plateaus(task: Task, role: str) -> str:
    return ", ".join(f"{value:.3g} ({name})" for name, value in task.plateaus(role).items())


def picture(name: str) -> bytes:
    """Return the picture of a task at its default settings as a PNG."""
    drawn = cells_of(tasks.get(name))
    return gallery.png(gallery.picture(*drawn))


def api_page(package: str) -> str:
    """Document the public functions and classes of a package, module by module."""
    folder = ROOT / package.replace(".", "/")
    modules = sorted(
        ".".join([package, *path.relative_to(folder).with_suffix("").parts])
        for path in folder.rglob("*.py")
        if not path.name.startswith("_")
    )
    doc = inspect.getdoc(importlib.import_module(package)) or ""
    return "\n\n".join([f"# {package}", doc, *(f"::: {module}" for module in modules)])


def exports_page() -> str:
    """List the names of `import lab`, with links to the packages that define them, and document the errors."""
    rows = []
    for name in dir(lab):
        value = getattr(lab, name)
        rows.append((f"[`lab.{name}`][{value.__module__}.{value.__qualname__}]", first_line(value)))
    return f"# lab\n\n{table(['name', ''], rows)}\n\n::: lab.errors\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "reference/metrics.md": metrics_page,
    "reference/heads.md": heads_page,
    "reference/objectives.md": objectives_page,
    "reference/studies.md": studies_page,
    "reference/figures.md": partial(figures_page, help_of),
    "reference/tasks.md": tasks_page,
    "reference/information.md": information_page,
    "reference/commands.md": commands_page,
    "api/lab.md": exports_page,
    **{f"api/{package}.md": partial(api_page, package) for package in PACKAGES},
}
"""Every generated page, by its place in the site."""
