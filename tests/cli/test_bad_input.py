"""Whatever a user may do wrong: one line that names it, exit status 2, and nothing written."""

import os
from pathlib import Path

import pytest

from tests.cli.refusal import TINY, refused

TRAIN = ["train", "induction", *TINY, "--out", "new"]


def train(*more: str) -> list[str]:
    """A training command with something wrong at its end."""
    return [*TRAIN, *more]


def replaced(**settings: str) -> list[str]:
    """A training command with some of its settings replaced."""
    words = list(TRAIN)
    for name, value in settings.items():
        words[words.index("--" + name.replace("_", "-")) + 1] = value
    return words


def row(phrase: str, arguments: list[str] | str, *expected: str, files: dict[str, str | bytes] | None = None) -> object:
    words = arguments.split() if isinstance(arguments, str) else arguments
    return pytest.param(words, expected, files or {}, id=phrase)


SETTINGS = [
    row("unknown command", "trian induction", "unknown command 'trian'", "did you mean 'train'"),
    row("unknown command, nothing near", "zzzz", "unknown command", "known: "),
    row("no task", "train", "needs a task"),
    row("unknown task", "train inductoin", "unknown task 'inductoin'", "did you mean 'induction'"),
    row("task of a module that is not there", "train no.such:Task", "cannot be imported"),
    row("task that is none", "train json:dumps", "is not a tasks.Task"),
    row("stray word", train("stray"), "unexpected argument 'stray'"),
    row("setting without value", train("--seed"), "--seed needs a value"),
    row("setting followed by another", train("--seed", "--precision", "float32"), "--seed needs a value"),
    row("setting given twice", train("--seed", "1", "--seed", "2"), "--seed is given twice"),
    row("unknown setting", train("--nonsense", "1"), "unknown setting 'nonsense'"),
    row("misspelt setting", train("--n-futrue", "1"), "did you mean 'n_future'"),
    row("misspelt setting of a group", train("--model.widht", "8"), "did you mean 'model.width'"),
    row("unknown setting of the task", train("--task.vocab", "8"), "did you mean 'vocabulary'"),
    row("setting below a setting", train("--seed.x", "1"), "seed"),
    row("group as a number", train("--model", "3"), "model must be a mapping"),
    row("value that is not YAML", train("--seed", "[1"), "--seed", "not YAML"),
    row("no prediction head", train("--n-future", "0"), "n_future must be at least 1, not 0"),
    row(
        "as many prediction heads as layers", train("--n-future", "3"), "n_future must be at most 2, not 3", "model.layers = 3"
    ),
    row("heads beyond the row", train("--n-future", "12", "--matched", "none"), "n_future must be below 12"),
    row("prediction heads as text", train("--n-future", "two"), "n_future must be a whole number, not 'two'"),
    row("prediction heads as a list", train("--n-future", "[1,2]"), "n_future must be a whole number"),
    row("true for a number", train("--seed", "true"), "seed must be a whole number, not True"),
    row("fraction of a step", replaced(steps="2.5"), "steps must be a whole number"),
    row("no steps", replaced(steps="0"), "steps must be at least 1"),
    row("negative seed", train("--seed", "-1"), "seed must be at least 0"),
    row("last of the seeds too large", train("--seeds", "9223372036854775807:9223372036854775809"), "seed must be below"),
    row("several numbers of heads without seeds", train("--n-future", "1,2"), "several numbers of heads", "need --seeds"),
    row("so many at once of no population", train("--seeds", "0:2", "--at-once", "2"), "give --together"),
    row("so many at once as text", train("--seeds", "0:2", "--together", "--at-once", "all"), "--at-once", "'all'"),
    row("none at once", train("--seeds", "0:2", "--together", "--at-once", "0"), "at_once must be 1 or more"),
    row("seed too large", train("--seed", "9223372036854775808"), "seed must be"),
    row("no rows", replaced(batch_size="0"), "batch_size must be at least 1"),
    row("rows that do not divide", train("--accumulate", "3"), "multiple of devices x accumulate = 1 x 3"),
    row("width that attention heads do not divide", replaced(width="9"), "model.width must be an even multiple"),
    row("odd width of an attention head", replaced(width="6"), "model.width must be an even multiple of model.n_heads = 2"),
    row("no layers", replaced(layers="0"), "model.layers must be at least 1"),
    row("no attention head", replaced(n_heads="0"), "model.n_heads must be at least 1"),
    row("unknown size", "train induction --size 2M --out new", "model.size must be one of 1M", "'2M'"),
    row("size that contradicts the width", "train induction --size 1M --width 64 --out new", "model.width must be 128"),
    row("unknown heads", train("--heads", "diagonal"), "model.heads must be one of parallel, linear", "not 'diagonal'"),
    row("heads as a list", train("--heads", "[causal]"), "model.heads must be one of parallel", "not ['causal']"),
    row(
        "sequential heads beyond the layers",
        [*replaced(layers="6"), "--heads", "sequential", "--n-future", "5"],
        "n_future must be at most 4, not 5: at equal parameters 5 sequential prediction heads leave no trunk",
    ),
    row(
        "anticausal heads beyond the depth",
        train("--heads", "anticausal", "--n-future", "3", "--matched", "layers"),
        "n_future must be at most 2, not 3: at equal depth 3 anticausal prediction heads leave no trunk of model.layers = 3",
    ),
    row(
        "anticausal heads as probes",
        train("--heads", "anticausal", "--n-future", "2", "--objective.detached", "true"),
        "objective.detached must be false with model.heads anticausal",
    ),
    row(
        "one layer for trunk and head",
        [*replaced(layers="1"), "--matched", "none"],
        "model.layers must be more than 1, which leaves no trunk below a single parallel prediction head",
    ),
    row("unknown matching", train("--matched", "mood"), "model.matched must be one of"),
    row("budget without matching", train("--budget.steps", "4"), "budget.steps must be null with model.matched parameters"),
    row(
        "step time without equal time",
        train("--matched", "flops", "--budget.step-time", "1.5"),
        "budget.step_time must be null with model.matched flops, not 1.5",
    ),
    row(
        "steps that the budget does not pay for",
        train("--matched", "flops", "--n-future", "2", "--budget.steps", "4"),
        "at equal flops, what budget.steps = 4 of n = 1 pay for, not 4",
    ),
    row(
        "budget that does not pay for the warm-up",
        [*replaced(**{"schedule.warmup_steps": "3"}), "--matched", "flops", "--n-future", "3"],
        "schedule.warmup_steps must be below steps = ",
    ),
    row("steps of no time", train("--matched", "time", "--budget.step-time", "0"), "budget.step_time must be above 0"),
    row("unknown feed-forward part", train("--model.mlp", "relu"), "model.mlp must be one of"),
    row("negative wavelength", train("--model.rope-base", "-1"), "model.rope_base must be above 0"),
    row("unknown objective", train("--objective", "fun"), "objective.name must be one of sum, shuffled", "not 'fun'"),
    row("objective of a module that is not there", train("--objective", "no.such:thing"), "cannot be imported"),
    row("objective that is none", train("--objective", "json:dumps"), "is not a lab.objectives.Objective"),
    row("window of nothing", train("--objective.window", "0"), "objective.window must be at least 1"),
    row("teacherless without an answer", train("--objective.teacherless", "true"), "objective.teacherless must be false"),
    row("start from nothing", train("--init", "gone"), "gone: no such folder"),
    row("start from a number", train("--init", "3"), "init must be a text, not 3"),
    row("detached as text", train("--objective.detached", "maybe"), "objective.detached must be true or false"),
    row("one row to shuffle", [*replaced(batch_size="1"), "--objective", "shuffled"], "batch_size must be at least 2"),
    row("unknown weights", train("--objective.weights", "heavy"), "objective.weights must be one of uniform, mean, decay, far"),
    row("weights as text", train("--objective.weights", "[1, x]"), "objective.weights must be", "a list of numbers"),
    row("negative weight", train("--n-future", "2", "--objective.weights", "[1, -1]"), "a list of numbers from 0 on"),
    row("weights without head 1", train("--objective.weights", "[0]"), "must begin with head 1's, above 0"),
    row("too many weights", train("--objective.weights", "[1, 1]"), "objective.weights must be 1 numbers", "not 2"),
    row("negative lambda", train("--objective.extra-weight", "-1"), "objective.extra_weight must be at least 0"),
    row(
        "lambda beside a list",
        train("--objective.weights", "[1]", "--objective.extra-weight", "0.5"),
        "objective.extra_weight is the number of a rule",
    ),
    row("unknown curriculum", train("--objective.active", "sideways"), "objective.active must be one of all, up, down"),
    row("stages that are no pairs", train("--objective.active", "[1, 2]"), "pairs of [step, heads]"),
    row("stages that begin late", train("--objective.active", "[[1, 1]]"), "steps that grow from 0, not [1]"),
    row("stages that go back", train("--objective.active", "[[0, 1], [3, 1], [2, 1]]"), "steps that grow from 0"),
    row("stage of too many heads", train("--objective.active", "[[0, 2]]"), "between 1 and n_future = 1 heads, not 2"),
    row("stage after the end", train("--objective.active", "[[0, 1], [4, 1]]"), "before steps = 4, not at step 4"),
    row(
        "more stages than steps",
        [*replaced(steps="2"), "--n-future", "3", "--matched", "none", "--objective.active", "up"],
        "steps must be at least 3",
    ),
    row("negative rate", train("--lr", "-0.001"), "optimiser.peak_lr must be above 0"),
    row("rate that is no number", train("--lr", ".nan"), "optimiser.peak_lr must be a finite number"),
    row("infinite rate", train("--lr", ".inf"), "optimiser.peak_lr must be a finite number"),
    row("rate as text", train("--lr", "fast"), "optimiser.peak_lr must be a number, not 'fast'"),
    row("beta of one", train("--optimiser.beta2", "1"), "optimiser.beta2 must be below 1"),
    row("negative decay", train("--optimiser.weight-decay", "-1"), "optimiser.weight_decay must be at least 0"),
    row("clip at zero", train("--optimiser.clip-norm", "0"), "optimiser.clip_norm must be above 0"),
    row(
        "warm-up longer than the run",
        replaced(**{"schedule.warmup_steps": "4"}),
        "schedule.warmup_steps must be below steps = 4",
    ),
    row("decay to more than the peak", train("--schedule.decay-ratio", "1.5"), "schedule.decay_ratio must be at most 1"),
    row("evaluation every zero steps", replaced(**{"evaluation.every": "0"}), "evaluation.every must be at least 1"),
    row("nothing to evaluate on", replaced(**{"evaluation.examples": "0"}), "evaluation.examples must be at least 1"),
    row("evaluation on training data", train("--evaluation.split", "train"), "evaluation.split must be one of"),
    row(
        "audit at every zeroth point", train("--evaluation.gradient-audit", "0"), "evaluation.gradient_audit must be at least 1"
    ),
    row("checkpoints in negative time", train("--checkpoint.seconds", "-1"), "checkpoint.seconds must be at least 0"),
    row("finite set below a batch", train("--examples", "3"), "examples must be at least batch_size = 4"),
    row("unknown precision", train("--precision", "fp8"), "precision must be one of 'float32' or 'bfloat16'"),
    row("unknown strategy", train("--strategy", "spread"), "strategy must be one of 'auto', 'ddp' or 'fsdp'"),
    row("strategy of one device", train("--strategy", "fsdp"), "strategy must be auto with devices = 1, not 'fsdp'"),
    row("sharding compiled", train("--strategy", "fsdp", "--devices", "2", "--compile", "default"), "compile must be none"),
    row("unknown compilation", train("--compile", "fast"), "compile must be one of 'none', 'default' or 'reduce-overhead'"),
    row("CUDA graphs on a CPU", train("--accelerator", "cpu", "--compile", "reduce-overhead"), "without a CUDA GPU"),
    row("unknown accelerator", train("--accelerator", "abacus"), "accelerator must be one of"),
    row("accelerator that is not there", train("--accelerator", "mps"), "accelerator must be one that this machine has"),
    row("no threads", train("--threads", "0"), "threads must be at least 1"),
    row("period of no token", "train induction --task.period [0,5]", "induction.period"),
    row("period that runs backwards", "train induction --task.period [9,3]", "induction.period"),
    row("period beyond the vocabulary", "train induction --task.period [8,40]", "vocabulary = 32"),
    row("row too short for the task", "train induction --task.length 40", "induction.length must be at least"),
    row("test period that does not fit", "train induction --task.test-period [40,50]", "induction.test_period"),
    row("answer where there is none", train("--task.loss-on", "answer"), "induction.loss_on", "there is no answer"),
    row("unknown scale", "train stories --scale huge --out new", "--scale must be one of laptop, paper, not 'huge'"),
    row(
        "paper's scale of a task without",
        "train recall --scale paper --out new",
        "recall has no settings of the paper",
        "stories",
    ),
    row("paper's scale of a file", "train --config e.yaml --scale paper", "--scale is for a task, not for --config"),
    row("unknown way to score", train("--task.loss-on", "prompt"), "induction.loss_on must be one of all, answer"),
    row("stories with one character", "train stories --task.characters [1,2]", "stories.characters"),
    row("more names than pairs", "train stories --task.names 5000", "stories.names must be between"),
]

GOOD = "task: induction\n"
FILES = [
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
    row("YAML that is a list", "train --config e.yaml", "mapping of settings", files={"e.yaml": "- task"}),
    row("binary file", "train --config e.yaml", "e.yaml: not a text file", files={"e.yaml": b"\xff\xfe\x00\x81"}),
    row("file without a task", "train --config e.yaml", "e.yaml: task is missing", files={"e.yaml": "seed: 1\n"}),
    row(
        "file with an unknown key",
        "train --config e.yaml",
        "unknown setting 'sede'",
        "'seed'",
        files={"e.yaml": GOOD + "sede: 1\n"},
    ),
    row(
        "file with a wrong value",
        "train --config e.yaml",
        "e.yaml: steps must be at least 1",
        files={"e.yaml": GOOD + "steps: -5\n"},
    ),
    row("file whose task is a number", "train --config e.yaml", "task must be a name", files={"e.yaml": "task: 5\n"}),
    row(
        "file whose task has no name", "train --config e.yaml", "task must have a name", files={"e.yaml": "task: {length: 5}\n"}
    ),
    row("out is a file", train(), "new: exists already", files={"new": "mine"}),
    row("out is a folder of something else", train(), "new: exists already", files={"new/mine": "x"}),
    row("out is below a file", [*TRAIN[:-1], "file/new"], "file", "Not a directory", files={"file": "mine"}),
    row("resume of nothing", "resume gone", "gone: no such folder"),
    row("resume without a run", "resume", "required: run"),
    row("resume of a folder that is no run", "resume folder", "folder: not a run", files={"folder/x": ""}),
    row("runs of a folder that is not there", "runs gone", "gone: no such folder"),
    row("runs of an empty folder", "runs folder", "folder: holds no runs", files={"folder/x": ""}),
    row("record that is cut short", "resume r", "run.json: not JSON", files={"r/run.json": '{"format": 1, "sta'}),
    row("record of something else", "resume r", "not the record of a run", files={"r/run.json": "[]"}),
    row(
        "run of another version", "resume r", "written in format 99", files={"r/run.json": '{"format": 99, "state": "running"}'}
    ),
    row(
        "run without its experiment",
        "resume r",
        "experiment.yaml: No such file",
        files={"r/run.json": '{"format": 1, "state": "running"}'},
    ),
    row("unknown task to show", "tasks show inductoin", "did you mean 'induction'"),
    row("nothing to show", "tasks show", "needs a task"),
    row("unknown word after tasks", "tasks list", "unknown command 'list'"),
    row("no rows to show", "tasks show induction --rows 0", "size must be at least 1"),
    row("rows as text", "tasks show induction --rows many", "--rows"),
    row("unknown split", "tasks show induction --split exam", "split must be one of train, validation, test"),
    row("missing corpus", "train stories --task.corpus no.txt --out new", "stories.corpus: no.txt: No such file"),
    row("empty corpus", "train stories --task.corpus c.txt --out new", "stories.corpus: c.txt: empty", files={"c.txt": ""}),
    row("binary corpus", "train stories --task.corpus c.txt --out new", "c.txt: not UTF-8 text", files={"c.txt": b"\x80\x81"}),
    row("corpus of one story", "train stories --task.corpus c.txt --out new", "c.txt: one story", files={"c.txt": "Tom ran."}),
    row(
        "corpus without names", "train stories --task.corpus c.txt --out new", "no name of the list", files={"c.txt": "a\n\nb"}
    ),
    row("corpus that needs no mix", "train stories --task.mix c.txt --out new", "stories.mix", "without a corpus"),
    row("name as a setting", "tasks show induction --name 3", "no setting 'name'"),
    row("unknown task within a task", "tasks show spelled --task.name stat", "did you mean 'star'"),
    row("task within a task that is none", "train spelled --task.task 3", "a mapping with a name and settings, not 3"),
    row("setting of a task within a task", "train spelled --task.task.period [9,3]", "induction.period must be [low, high]"),
    row("unknown setting to show", "tasks show induction --vocab 3", "did you mean 'vocabulary'"),
    row("no rows to draw", "tasks draw star --rows 0 -o x.png", "rows must be at least 1, not 0"),
    row("picture without a file", "tasks draw star", "required: -o/--out"),
    row("picture as another kind of file", "tasks draw star -o x.pdf", "x.pdf: the file must be a .png"),
    row("gallery into a folder that is not there", "tasks gallery -o gone", "gone: no such folder"),
    row("nothing to export", "tasks export -o x.jsonl", "tasks export needs a task"),
    row("no instances to export", "tasks export star --size 0 -o x.jsonl", "size must be at least 1, not 0"),
    row("unknown split to export", "tasks export star --split exam -o x.jsonl", "split must be one of"),
    row("export as another kind of file", "tasks export star -o x.txt", "x.txt: the file must be a .jsonl"),
    row("export into a folder that is not there", "tasks export star -o gone/x.jsonl", "gone: no such folder"),
    row("export of a setting that is wrong", "tasks export star --degree 1 -o x.jsonl", "star.degree must be at least 2"),
    row("nothing to certify", "tasks certify", "tasks certify needs a task"),
    row("certificate of no rows", "tasks certify star --drawn 0", "drawn must be at least 1, not 0"),
    row(
        "certificate of too few instances",
        "tasks certify induction --vocabulary 2 --period [1,1] --length 2",
        "too few instances",
    ),
    row("certificate as another kind of file", "tasks certify star -o x.yaml", "x.yaml: the file must be a .json"),
    row("certificate of an unknown setting", "tasks certify star --degre 2", "did you mean 'degree'"),
    row("evaluation without data", "evaluate runs", "required: --data"),
    row("evaluation of no run", "evaluate gone --data x.txt", "gone: no such folder", files={"x.txt": "1 2"}),
    row("evaluation into another kind of file", "evaluate r --data x.txt -o x.png", "x.png: the file must be a .csv"),
    row("unknown figure", "plot emergance r -o x.png", "did you mean 'emergence'"),
    row("figure of another kind", "plot emergence r -o x.gif", "x.gif: the file must be a .png or .pdf or .svg"),
    row("figure into a folder that is not there", "plot emergence r -o gone/x.png", "gone: no such folder"),
    row("figure of no run", "plot emergence gone -o x.png", "gone: no such folder"),
    row("figure without a file", "plot emergence r", "required: -o/--out"),
    row("metric for another figure", "plot heatmap r -o x.png --metric icl", "--metric is for emergence, grid", "not heatmap"),
    row("threshold for another figure", "plot size r -o x.png --threshold 0.5", "--threshold is for survival, not size"),
    row("threshold that is no number", "plot survival r -o x.png --threshold high", "invalid float value: 'high'"),
    row("x-axis for another figure", "plot size r -o x.png --x flops", "--x is for emergence, not size"),
    row("unknown rule", "plot size r -o x.png --rule worst", "invalid choice: 'worst'"),
    row("demo of no seeds", "demo --seeds 0", "--seeds must be at least 1"),
    row("demo with a wrong setting", "demo --steps 0", "steps must be at least 1"),
    row("demo over a file", "demo --out file", "file: is not a folder", files={"file": "mine"}),
]


@pytest.mark.parametrize(("arguments", "expected", "files"), [*SETTINGS, *FILES])
def test_wrong_input_is_named_in_one_line(
    arguments: list[str],
    expected: tuple[str, ...],
    files: dict[str, str | bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(arguments, expected, capsys)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(SETTINGS) + len(FILES) >= 60


def test_a_folder_that_cannot_be_written_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(TRAIN, ("new", "Read-only file system"), capsys)
