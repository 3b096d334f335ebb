"""Every command and every piece of Python code in the documentation runs, with smaller settings, in the order of its page."""

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
import tasks
from lab.cli.main import main
from tests.helpers.documented import Step, shrink, steps_of
from tests.helpers.tiny import tiny

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): list(steps_of(path))
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "notebooks/README.md",
    ]
}
EXCLUDED = {
    r"sweep dashboard": "serves until Ctrl-C",
    r"reproduce agreement": "64 runs, an hour; tests/cli/test_reproduce.py has small studies",
    r"lab resume": "needs a kill in between; tests/training has it",
    r"--log ": "needs packages that are not installed; tests/training/test_loggers.py",
    r"runs (mv|rm)": "move or delete what later lines need; tests/cli has both",
    r"inspect probe (?!.*--pool scored)": "its figure has no room for tiny networks; tests/inspection and tests/plots have it",
    r"theirs.txt|my-llama|runs/mine ": "files of the reader's own",
    r"nnsight|transformer_lens|transformers|from_pretrained|NNsight|Bridge|bridge": "tests/model has what can be tested here",
}
"""Steps that do not run, by a pattern, with the reason."""
SUBSTITUTIONS = [
    (r"(stories.*) --size 1M", r"\1"),  # a size contradicts the width in TINY
    (r"--model.width 128 ", ""),
    (r"\[100, 1\]", "[3, 1]"),
    (r"range\(30\)", "range(3)"),
    (r"tinystories.txt --task.vocabulary 4096 --task.length 512", "stories.txt --task.vocabulary 600 --task.length 192"),
    (r"ours\.measures:", "tests.helpers.users_measure:"),
    (r"my_package\.my_tasks:", "my_tasks:"),
    (r"runs/stories", "runs/first"),  # of the same task
    (r'"model.width": 64, "steps": 600', '"model.width": 8, "steps": 5, "evaluation.examples": 4'),
    (r'experiment, "runs/first"', 'experiment, "runs/new"'),
    (r"demo/runs(/agreement)?", "runs/demo"),
    (r"(watch|report) sweeps/rate", r"\1 sweeps/smoke"),
    (r"--step 500 ", "--step 3 "),
    (r"--join results/", f"--join {ROOT / 'results'}/"),  # a published report
]
"""Patterns of steps, and the texts that replace them."""
MODULES = {"class Reverse(Task)": "my_tasks.py", "def doubled(": "mine.py", "class TokenBefore(": "own_loss.py"}
"""Files in which a page asks the reader to save Python code, by a line of the code."""
SLOW = re.compile(
    "lab (inspect|decode|sweep|watch|reproduce|plot|compare|report|export|import|evaluate .*all|train .*--matched time)"
    "|--seeds|--objective|lab.decode"
)
"""Steps that only the slow test runs."""
FEW: dict[str, Any] = {"steps": 6, "evaluation__every": 3, "checkpoint__keep": "every", "model__matched": "none"}
"""Settings of the runs that pages read."""


@pytest.fixture(scope="module")
def documented_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder with the runs that the quick steps of pages read."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "sweeps", folder / "sweeps")
    stories = tasks.get("stories")
    lab.train(tiny("stories", model__n_heads=4, **FEW), folder / "runs" / "first")
    lab.train(tiny("star", **FEW), folder / "runs" / "star")
    for n in (1, 2):
        for seed in (0, 1):
            lab.train(tiny("agreement", n_future=n, seed=seed, **FEW), folder / "runs" / "demo" / f"n{n}-seed{seed}")
    text = "\n\n".join(" ".join(word for word, _ in stories.show(stories.batch(0, 0, 200), row)) for row in range(200))
    (folder / "stories.txt").write_text(text)
    for line, module in MODULES.items():
        (folder / module).write_text(next(step.text for steps in PAGES.values() for step in steps if line in step.text))
    return folder


@pytest.fixture(scope="module")
def further_runs(documented_runs: Path) -> None:
    """Train the runs that slow steps alone read: of further tasks, and of two sweeps."""
    for task in ("maze", "choice", "belief"):
        lab.train(tiny(task, **FEW), documented_runs / "runs" / task)
    for seed, (n, width, layers) in itertools.product((0, 1), itertools.product((1, 2), (8, 16), (3, 4))):
        changes = {"n_future": n, "model__width": width, "model__layers": layers, "seed": seed, "steps": 4}
        name = f"n{n}-width{width}-layers{layers}-seed{seed}"
        for sweep in ("rate", "grid") if layers == 3 else ("rate",):
            lab.train(tiny(**changes), documented_runs / "runs" / sweep / name)


def steps_to_run(page: str, *, slow: bool) -> list[Step]:
    """Return the steps of a page that run, in order."""
    steps = [step for step in PAGES[page] if not any(re.search(pattern, step.text) for pattern in EXCLUDED)]
    return steps if slow else [step for step in steps if not SLOW.search(step.text)]


def run_page(page: str, *, slow: bool, namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the steps of a page in the working directory, and return those that failed, with their errors."""
    failed = []
    for text, is_python in steps_to_run(page, slow=slow):
        for pattern, instead in SUBSTITUTIONS:
            text = re.sub(pattern, instead, text)
        if is_python:
            exec(compile(text, page, "exec"), namespace)
            continue
        words, target = shrink(text)
        status = main(words)
        out, err = capsys.readouterr()
        if target is not None:
            Path(target).write_text(out)
        if status != 0:
            failed.append(f"{text}: {err.strip()}")
    return failed


def names(documented_runs: Path) -> dict[str, Any]:
    """Return the names that the Python code of a page uses without defining them."""
    run = lab.Run(documented_runs / "runs" / "first")
    tokens = torch.from_numpy(run.experiment.task.batch(0, 0, 4).tokens)
    return {
        "__name__": "page",
        "lab": lab,
        "network": run.model(),
        "tokens": tokens,
        "clean": tokens,
        "other": tokens.flip(0),
        "task": run.experiment.task,
    }


@pytest.mark.parametrize(
    ("page", "slow"),
    [
        pytest.param(page, slow, id=f"{'all' if slow else 'quick'}-{page}", marks=pytest.mark.slow if slow else ())
        for slow in (False, True)
        for page in PAGES
        if steps_to_run(page, slow=slow)
    ],
)
def test_every_step_of_a_page_runs(
    page: str,
    slow: bool,
    documented_runs: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if slow:
        request.getfixturevalue("further_runs")
    folder = tmp_path / "copy"
    shutil.copytree(documented_runs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    failed = run_page(page, slow=slow, namespace=names(documented_runs), capsys=capsys)
    assert not failed, "\n".join(failed)


def test_every_exclusion_and_substitution_is_needed() -> None:
    text = "\n".join(step.text for steps in PAGES.values() for step in steps)
    assert [pattern for pattern in (*EXCLUDED, *dict(SUBSTITUTIONS)) if not re.search(pattern, text)] == []
    assert [line for line in MODULES if line not in text] == []
