"""Completion in real shells: the scripts find commands, options, values, names and paths, without Python."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import tasks
from lab.cli.commands import COMMANDS, subcommands
from lab.cli.completion.scripts import SCRIPTS
from lab.cli.completion.words import Words, collect, parser_of
from lab.cli.main import main
from lab.config.files import setting_names
from lab.inspection.instruments import INSTRUMENTS
from lab.plots import FIGURES
from lab.reproduce import STUDIES

pytestmark = pytest.mark.process

DRIVERS = {
    "bash": """
source script.bash
COMP_WORDS=({quoted}); COMP_CWORD=$(({count} - 1)); COMPREPLY=()
_lab
[[ ${{#COMPREPLY[@]}} -gt 0 ]] || COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))  # as -o default
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """
compdef() {{ : }}
compadd() {{ print -rl -- ${{(M)found:#${{PREFIX}}*}} }}
_files() {{ print -rl -- ${{PREFIX}}*(N) }}
source ./script.zsh
words=({quoted}); CURRENT={count}; PREFIX=$words[CURRENT]
_lab
""",
    "fish": """
source script.fish
complete -C {line} | cut -f 1
""",
}
"""A program for each shell that prints the completions of a command line, one a line."""


@pytest.fixture(scope="module")
def words() -> Words:
    return collect()


@pytest.fixture(params=SCRIPTS)
def complete(request: pytest.FixtureRequest, words: Words, tmp_path: Path) -> Callable[[str], set[str]]:
    """Return a function that completes the last word of a command line in a real shell, in a folder with `runs/first`."""
    shell = request.param
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / f"script.{shell}").write_text(SCRIPTS[shell](words))
    (tmp_path / "runs" / "first").mkdir(parents=True)

    def completions(line: str) -> set[str]:
        parts = line.split(" ")
        quoted = " ".join(f"'{part}'" for part in parts)
        code = DRIVERS[shell].format(quoted=quoted, count=len(parts), line=f"'{line}'")
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"}
        answer = subprocess.run(
            [program, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment, timeout=60
        )
        assert answer.stderr == ""
        return set(answer.stdout.split())

    return completions


def test_commands_names_options_and_values_are_completed(complete: Callable[[str], set[str]]) -> None:
    assert complete("lab ") == {*subcommands(), "help"}
    assert complete("lab tr") == {"train"}
    assert {*tasks.names(), "show"} <= complete("lab tasks ")
    assert complete("lab train st") == {"stories", "star"}
    assert {"--lr", "--warmup", "--task.degree"} <= complete("lab train star --")
    assert complete("lab train star --seed 3 --task.deg") == {"--task.degree"}
    assert "--task.degree" not in complete("lab train --task.")
    assert complete("lab train star --precision ") == {"float32", "bfloat16"}
    assert complete("lab tasks show agreement --order v") == {"verb_last", "verb_first"}
    assert complete("lab tasks addition --order ") == {"forward", "reversed"}
    assert complete("lab plot emer") == {"emergence"}
    assert complete("lab plot emergence runs --met") == {"--metric"}
    assert complete("lab inspect ra") == {"rank"}
    assert "--sequences" in complete("lab inspect rank runs --")
    assert complete("lab completion ") == set(SCRIPTS)
    assert complete("lab plot emergence runs --style p") == {"paper"}
    assert {"lr", "n_future", "model.width"} <= complete("lab compare runs --by ")
    assert {"value", "duration", "model.heads"} <= complete("lab runs --sort ")
    assert complete("lab tasks show star --split va") == {"validation"}
    assert complete("lab evaluate runs --measure gr") == {"gradients"}


def test_paths_are_completed(complete: Callable[[str], set[str]]) -> None:
    for line in ("lab resume ru", "lab plot emergence ru", "lab train star --out ru", "lab plot grid --force ru"):
        assert {word.rstrip("/") for word in complete(line)} == {"runs"}, line


def test_every_word_of_the_parsers_is_completed(words: Words) -> None:
    assert set(COMMANDS) <= set(words.following)
    for command, names in {"train": tasks.names(), "plot": FIGURES, "inspect": INSTRUMENTS, "reproduce": STUDIES}.items():
        assert set(names) <= set(words.following[command])
    options = set(words.following["train star"])
    assert {f"--{name.replace('_', '-')}" for name in setting_names() if name != "task"} <= options
    assert {"--force", "--plan"} <= words.flags
    assert "--out" not in words.flags
    of_evaluate = {option for action in parser_of("evaluate")._actions for option in action.option_strings}
    assert of_evaluate <= set(words.following["evaluate"])


def test_the_script_does_not_start_python(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == SCRIPTS["bash"](words)
    code = [line for script in SCRIPTS.values() for line in script(words).splitlines() if "echo" not in line]
    assert not [line for line in code if "python" in line or "(lab" in line]


def test_an_unknown_shell_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
