"""The test suite itself: modules share code through tests/helpers alone, and names of tests are short."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
TREES = {
    path.relative_to(TESTS).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))
}
LONGEST = 60
"""Characters of a test's name."""


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports from the suite."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module.split(".")[0] == "tests")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tests")


def names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of a module's tests."""
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_modules_share_code_through_helpers_alone() -> None:
    found = {path: [name for name in imports(tree) if not name.startswith("tests.helpers.")] for path, tree in TREES.items()}
    assert not {path: names for path, names in found.items() if names}


def test_names_of_tests_are_short() -> None:
    found = {path: [name for name in names(tree) if len(name) > LONGEST] for path, tree in TREES.items()}
    assert not {path: names for path, names in found.items() if names}
