"""Wrong input: one line that names the mistake, exit status 2, and nothing written."""

import os
from pathlib import Path

import pytest

from tests.helpers.rejection import TRAIN, Wrong, assert_rejected, row, train, train_with

GOOD = "task: induction\n"
LONG = "n" * 300
WRONG = [
    row("unknown command", "trian induction", "unknown command 'trian'", "did you mean 'train'"),
    row("no task", "train", "needs a task"),
    row("unknown task", "train inductoin", "unknown task 'inductoin'", "did you mean 'induction'"),
    row("task of a module that is not there", "train no.such:Task", "cannot be imported"),
    row("stray word", train("stray"), "unexpected argument 'stray'"),
    row("setting without value", train("--seed"), "--seed needs a value"),
    row("setting given twice", train("--seed", "1", "--seed", "2"), "--seed is given twice"),
    row("unknown setting", train("--nonsense", "1"), "unknown setting 'nonsense'"),
    row("setting below a setting", train("--seed.x", "1"), "seed"),
    row("more seeds than fit in memory", train("--seeds", "0:99999999999"), "--seeds must be at most 10000 numbers"),
    row(
        "a value nested 20,000 deep",
        ["train", "induction", "--task.period", "[" * 20_000],
        "--task.period: not YAML",
        "nested too deeply",
    ),
    row("setting within its group and by name", train("--model", "{width: 8}"), "model.width is given twice"),
    row("setting of a task by both names", "tasks show star --degree 3 --task.degree 4", "--task.degree is given twice"),
    row("task and its name", "train star --task induction", "the task is given twice, as star and as induction"),
    row("task and its dotted name", "train star --task.name induction", "is given twice, as star and as induction"),
    row("task and its group", ["train", "star", "--task", "{name: induction}"], "is given twice, as star and as induction"),
    row("task by both names", "train induction --task star --task.name star", "task is given twice"),
    row("more memory than there is", train_with(width="1000000000000"), "not enough memory", "allocate"),
    row("output given twice", train("--out", "other"), "train: --out is given twice"),
    row("empty output", [*train()[:-1], ""], "train: --out must not be empty"),
    row("demo of no workers", "demo --workers 0", "--workers must be at least 1, not 0"),
    row("demo whose heads are set", "demo --n-future 3", "--n-future cannot be given: --n says"),
    row("several numbers of heads without seeds", train("--n-future", "1,2"), "several numbers of heads", "need --seeds"),
    row("ensemble size without an ensemble", train("--seeds", "0:2", "--ensemble-size", "2"), "give --ensemble"),
    row("paper's scale of a file", "train --config e.yaml --scale paper", "--scale is for a task, not for --config"),
    row("unknown scale", "train stories --scale huge --out new", "scale must be one of laptop, paper, not 'huge'"),
    row("CUDA graphs on a CPU", train("--accelerator", "cpu", "--compile", "reduce-overhead"), "without a CUDA GPU"),
    row("accelerator that is not there", train("--accelerator", "mps"), "accelerator must be one that this machine has"),
    row("threads beyond the cores", train("--threads", "100000"), "threads must be at most", "the cores of this machine"),
    row("objective of a module that is not there", train("--objective", "no.such:thing"), "cannot be imported"),
    row("one sequence to shuffle", [*train_with(batch_size="1"), "--objective", "shuffled"], "batch_size must be at least 2"),
    row("no prediction head", train("--n-future", "0"), "n_future must be at least 1, not 0"),
    row("beta of one", train("--optimiser.beta2", "1"), "optimiser.beta2 must be below 1"),
    row("decay to more than the peak", train("--schedule.decay-ratio", "1.5"), "schedule.decay_ratio must be at most 1"),
    row("negative rate", train("--lr", "-0.001"), "optimiser.peak_lr must be above 0"),
    row("unknown precision", train("--precision", "fp8"), "precision must be one of 'float32' or 'bfloat16'"),
    row("prediction heads as text", train("--n-future", "two"), "n_future must be a whole number, not 'two'"),
    row("fraction of a step", train_with(steps="2.5"), "steps must be a whole number"),
    row("rate as text", train("--lr", "fast"), "optimiser.peak_lr must be a number, not 'fast'"),
    row("rate that is no number", train("--lr", ".nan"), "optimiser.peak_lr must be a finite number"),
    row("start from a number", train("--init", "3"), "init must be a text, not 3"),
    row("detached as text", train("--objective.detached", "maybe"), "objective.detached must be true or false"),
    row("group as a number", train("--model", "3"), "model must be a mapping"),
    row("start from nothing", train("--init", "gone"), "gone: no such folder"),
    row("task and file", "train induction --config e.yaml", "not both", files={"e.yaml": GOOD}),
    row("file that is not there", "train --config gone.yaml", "gone.yaml: No such file"),
    row("folder for a file", "train --config folder", "folder: Is a directory", files={"folder/x": ""}),
    row("empty file", "train --config e.yaml", "e.yaml", "mapping", files={"e.yaml": ""}),
    row(
        "file that is not YAML",
        "train --config e.yaml",
        "e.yaml, line 2: not YAML",
        files={"e.yaml": "task: induction\n\tx: [1"},
    ),
    row(
        "file with a key twice",
        "train --config e.yaml",
        "e.yaml, line 3: 'seed' is given twice",
        files={"e.yaml": GOOD + "seed: 1\nseed: 2\n"},
    ),
    row("YAML that is a list", "train --config e.yaml", "mapping of settings", files={"e.yaml": "- task"}),
    row("binary file", "train --config e.yaml", "e.yaml: not a text file", files={"e.yaml": b"\xff\xfe\x00\x81"}),
    row(
        "file with an unknown key",
        "train --config e.yaml",
        "unknown setting 'sede'",
        "'seed'",
        files={"e.yaml": GOOD + "sede: 1\n"},
    ),
    row(
        "file with a number as a setting",
        "train --config e.yaml",
        "e.yaml: a setting must be",
        files={"e.yaml": GOOD + "3: 4\n"},
    ),
    row(
        "file with a number as a task's setting",
        "train --config e.yaml",
        "e.yaml: a setting of induction must be a name, not 3",
        files={"e.yaml": "task: {name: induction, 3: 4}\n"},
    ),
    row("file without a task", "train --config e.yaml", "e.yaml: task is missing", files={"e.yaml": "seed: 1\n"}),
    row("run folder of 300 letters", [*TRAIN[:-1], LONG], LONG, "File name too long"),
    row("corpus of 300 letters", ["train", "stories", "--task.corpus", LONG], f"stories.corpus: {LONG}: File name too long"),
    row("line break in a name", ["resume", "a\nb"], "lab: a\\nb: no such folder"),
    row("message of a megabyte", ["train", "induction", "--steps", "x" * 1_000_000], "steps must be a whole number", " ... "),
    row("out is a folder of something else", train(), "new: exists already", files={"new/mine": "x"}),
    row("out is below a file", [*TRAIN[:-1], "file/new"], "file", "Not a directory", files={"file": "mine"}),
    row("resume of nothing", "resume gone", "gone: no such folder"),
    row("resume of a folder that is no run", "resume folder", "folder: not a run", files={"folder/x": ""}),
    row("runs of an empty folder", "runs folder", "folder: holds no runs", files={"folder/x": ""}),
    row("record that is cut short", "resume r", "run.json: not JSON", files={"r/run.json": '{"format": 1, "sta'}),
    row(
        "record with a text for a number",
        "resume r",
        "run.json: wall_seconds must be a number, not 'long'",
        files={
            "r/run.json": '{"format": 1, "state": "stopped", "wall_seconds": "long"}',
            "r/experiment.yaml": GOOD,
        },
    ),
    row(
        "run of another version", "resume r", "written in format 99", files={"r/run.json": '{"format": 99, "state": "running"}'}
    ),
    row(
        "run without its experiment",
        "resume r",
        "experiment.yaml: No such file",
        files={"r/run.json": '{"format": 1, "state": "running", "wall_seconds": 1, "non_embedding_parameters": 1}'},
    ),
    row("nothing to show", "tasks show", "needs a task"),
    row("unknown word after tasks", "tasks list", "unknown command 'list'"),
    row("no rows to show", "tasks show induction --rows 0", "rows must be between 1 and 100000, not 0"),
    row("unknown split", "tasks show induction --split exam", "split must be one of train, validation, test"),
    row("missing corpus", "train stories --task.corpus no.txt --out new", "stories.corpus: no.txt: No such file"),
    row("name as a setting", "tasks show induction --name 3", "no setting 'name'"),
    row("unknown task within a task", "tasks show spelled --task.name stat", "did you mean 'star'"),
    row("picture as another kind of file", "tasks draw star -o x.pdf", "x.pdf: the file must be a .png"),
    row("gallery into a folder that is not there", "tasks gallery -o gone", "gone: no such folder"),
    row("certificate of too many rows", "tasks inspect star --drawn 99999999999", "drawn must be between 1 and 10000000"),
    row("evaluation of nothing", "evaluate", "required: runs"),
    row("evaluation of a folder that is not there", "evaluate gone --step all", "gone: no such folder"),
    row("unknown measure", "evaluate runs --measure gradient", "unknown measure 'gradient'", "did you mean 'gradients'"),
    row("evaluation into another kind of file", "evaluate r --data x.txt -o x.png", "x.png: the file must be a .csv"),
    row("unknown figure", "plot emergance r -o x.png", "did you mean 'emergence'"),
    row("metric for another figure", "plot heatmap r -o x.png --metric icl", "unrecognized arguments: --metric"),
    row("unknown rule", "plot size r -o x.png --rule worst", "invalid choice: 'worst'"),
    row("demo over a file", "demo --out file", "file: is not a folder", files={"file": "mine"}),
]
"""A case for each kind of message about a setting, and one for each check of a command."""


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_named_in_one_line(wrong: Wrong, capsys: pytest.CaptureFixture[str]) -> None:
    wrong.write_files()
    assert_rejected(wrong.arguments, wrong.expected, capsys)


def test_a_read_only_folder_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30), str(self))

    monkeypatch.setattr(Path, "mkdir", fail)
    assert_rejected(TRAIN, ("new", "Read-only file system"), capsys)
