"""All tasks that the shared tests run over: ours, those of installed packages, two that a user would write, and README's."""

import atexit
import re
import shutil
import sys
import tempfile
from pathlib import Path

import tasks

README = Path(__file__).parents[2] / "README.md"


def readme_example() -> str:
    """Return the code of the task that README.md shows."""
    (code,) = re.findall(r"```python\n((?:(?!```).)*?class \w+\(Task\).*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


def write_module(code: str) -> str:
    """Write code to a module that can be imported, and return the path by which its task is found."""
    folder = tempfile.mkdtemp(prefix="readme-")
    atexit.register(shutil.rmtree, folder)
    (name,) = re.findall(r"class (\w+)\(Task\)", code)
    (Path(folder) / "readme_task.py").write_text(code, encoding="utf-8")
    sys.path.append(folder)
    return f"readme_task:{name}"


EVERY = [
    *tasks.names(),
    "tests.helpers.users_task:Parity",
    "tests.helpers.users_walk:Walk",
    write_module(readme_example()),
]
