"""The test suite itself: modules share code through tests/helpers alone, and names of tests are short."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

TESTS = Path(__file__).parent
TREES = {
    path.relative_to(TESTS).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))
}
LONGEST = 60
"""Characters of a test's name."""

IMPORTING: set[str] = set()
"""Folders whose modules still import others: a list that must shrink."""
LONG_NAMES: set[str] = set()
"""Folders with longer names: a list that must shrink."""


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


def folders(modules: Iterable[str]) -> set[str]:
    return {module.partition("/")[0] for module in modules}


def test_modules_share_code_through_helpers_alone() -> None:
    found = {path: [name for name in imports(tree) if not name.startswith("tests.helpers.")] for path, tree in TREES.items()}
    wrong = {path: names for path, names in found.items() if names}
    assert folders(wrong) == IMPORTING, wrong


def test_names_of_tests_are_short() -> None:
    found = {path: [name for name in names(tree) if len(name) > LONGEST] for path, tree in TREES.items()}
    wrong = {path: names for path, names in found.items() if names}
    assert folders(wrong) == LONG_NAMES, wrong
