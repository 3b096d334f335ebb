"""Files of a user that have the names of our packages."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FOREIGN = ["tasks.py", "tasks/__init__.py"]
IMPORTS = {
    "script": ["script.py"],
    "notebook": ["-c", "import lab"],  # here too the working directory comes first
    "inner": ["-c", "from lab.config import load"],
    "module": ["-m", "lab", "tasks"],
}
COMMAND = "import sys\nfrom lab.cli.main import main\nsys.exit(main())\n"
"""The script that pip installs as `lab`."""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    environment = {"PATH": "", "PYTHONPATH": str(root)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("how", IMPORTS)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_module_tasks_is_named_in_one_line(foreign: str, how: str, tmp_path: Path) -> None:
    write(tmp_path / foreign, "A = 1\n")
    write(tmp_path / "script.py", "import lab\n")
    answer = run(tmp_path, *IMPORTS[how])
    assert answer.returncode == 1
    last = answer.stderr.splitlines()[-1]
    assert f"'tasks', but Python finds {tmp_path / foreign} first: rename it" in last
    assert how != "module" or answer.stderr.count("\n") == 1


def test_an_already_imported_foreign_tasks_is_named(tmp_path: Path) -> None:
    write(tmp_path / "tasks.py", "import lab\n")
    assert f"finds {tmp_path / 'tasks.py'} first" in run(tmp_path, "-c", "import tasks").stderr


@pytest.mark.parametrize("foreign", [*FOREIGN, "tasks/mine.py", "lab.py", "lab/__init__.py"])
def test_the_command_works_with_foreign_files_in_its_folder(foreign: str, tmp_path: Path) -> None:
    write(tmp_path / "here" / foreign, "A = 1\n")
    write(tmp_path / "bin" / "lab-command", COMMAND)
    answer = run(tmp_path / "here", str(tmp_path / "bin" / "lab-command"), "tasks", "show", "star", "--rows", "1")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("star")


def test_a_folder_tasks_without_init_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path / "tasks" / "mine.py", "A = 1\n")
    assert run(tmp_path, "-c", "import lab; lab.experiment('star')").returncode == 0
