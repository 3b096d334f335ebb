"""Check that a refactoring moved no number: digests of metrics and weights of many tiny runs, trained by the command line.

python -m benchmarks.same_numbers before.json              train every run and write the digests
python -m benchmarks.same_numbers after.json before.json   the same, then compare
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open

TINY = "--model.width 16 --model.n-heads 2 --model.layers 4 --steps 12 --batch-size 8 --schedule.warmup-steps 4"
TINY += " --evaluation.every 6 --evaluation.examples 16"
INDUCTION = "induction --task.vocabulary 16 --task.length 24 --task.period [4,8] --task.test-period [9,10]"
TASKS = (
    "bigram",
    "markov",
    "stories",
    "recall",
    "agreement",
    "discovery",
    "modular",
    "spelled",
    "polynomial",
    "addition",
    "star",
    "maze",
)
KINDS = ("parallel", "causal", "anticausal", "replicated", "linear", "residual", "sequential")
RUNS = {
    "one-head": INDUCTION,
    **{f"task-{task}": f"{task} --n-future 2" for task in TASKS},
    **{f"heads-{kind}": f"{INDUCTION} --n-future 2 --model.heads {kind}" for kind in KINDS},
    **{f"objective-{name}": f"{INDUCTION} --n-future 3 --objective {name}" for name in ("sum", "shuffled", "bag", "order")},
    **{f"weights-{rule}": f"{INDUCTION} --n-future 3 --objective.weights {rule}" for rule in ("mean", "decay", "far")},
    "gelu": f"{INDUCTION} --n-future 2 --model.mlp gelu",
    "active-up": f"{INDUCTION} --n-future 3 --objective.active up",
    "detached": f"{INDUCTION} --n-future 2 --objective.detached true",
    "teacherless": "star --n-future 2 --objective.teacherless true",
    "diagnostics": f"{INDUCTION} --n-future 2 --evaluation.gradient-audit 1",
    "accumulated": f"{INDUCTION} --n-future 2 --accumulate 2",
    "bfloat16": f"{INDUCTION} --n-future 2 --precision bfloat16",
}  # fmt: skip
ENSEMBLE = f"{INDUCTION} --n-future 1,2 --seeds 0:2 --ensemble"
RENAMED: dict[str, str] = {}
"""Options that the new tree spells differently."""


def digest(run: Path) -> str:
    """SHA-256 of a run's metrics and of its weights, whatever the weights are called."""
    found = hashlib.sha256((run / "metrics.csv").read_bytes())
    with safe_open(run / "model.safetensors", "numpy") as file:
        for each in sorted(hashlib.sha256(file.get_tensor(name).tobytes()).digest() for name in file.keys()):  # noqa: SIM118
            found.update(each)
    return found.hexdigest()


def command(settings: str, out: Path, tiny: str = TINY) -> list[str]:
    """Arguments of `lab` that train one run, or a folder of them."""
    return [RENAMED.get(word, word) for word in ["train", *settings.split(), *tiny.split(), "--out", str(out)]]


def train(settings: str, out: Path) -> None:
    """Train in this process."""
    from lab.cli.main import main as lab

    if lab(command(settings, out)):
        raise SystemExit(f"{settings} failed")


def stop_and_resume(out: Path) -> None:
    """Interrupt a run after its first checkpoint, then resume it."""
    tiny = TINY.replace("--steps 12", "--steps 2000").replace("--evaluation.every 6", "--evaluation.every 100")
    arguments = [*command(f"{INDUCTION} --n-future 2", out, tiny), "--checkpoint.seconds", "0"]
    running = subprocess.Popen([sys.executable, "-m", "lab", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("checkpoint-*")) and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    if running.wait() != 143:
        raise SystemExit("the run was not interrupted")
    subprocess.run([sys.executable, "-m", "lab", "resume", str(out)], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Write digests, compare them if there are others; 1 if any differs."""
    digests = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for name, settings in RUNS.items():
            with Path(os.devnull).open("w") as nowhere:
                kept, sys.stdout = sys.stdout, nowhere
                try:
                    train(settings, folder / name)
                finally:
                    sys.stdout = kept
            digests[name] = digest(folder / name)
            print(name, digests[name][:12], flush=True)
        train(ENSEMBLE, folder / "ensemble")
        for run in sorted((folder / "ensemble").iterdir()):
            digests[f"ensemble/{run.name}"] = digest(run)
        stop_and_resume(folder / "resumed")
        digests["resumed"] = digest(folder / "resumed")
    Path(sys.argv[1]).write_text(json.dumps(digests, indent=1) + "\n")
    if len(sys.argv) < 3:
        return 0
    before = json.loads(Path(sys.argv[2]).read_text())
    changed = [name for name in before if digests.get(name) != before[name]]
    print("changed:", ", ".join(changed) or "none")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
