"""The layers of the packages: no import points upwards, none closes a cycle, and light packages stay light.

Every import counts: at the top of a module, within a function, or for the type checker alone.
"""

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

LAYERS: tuple[tuple[str, ...], ...] = (
    ("tasks",),
    ("lab.errors",),
    ("lab.loading", "lab.metrics", "lab.processes", "lab.registry"),
    ("lab.config",),
    ("lab.model",),
    ("lab.objectives", "lab.decoding", "lab.stats"),
    ("lab.interp", "lab.runs"),
    ("lab.evaluation", "lab.plots"),
    ("lab.training", "lab.reports", "lab.inspection", "lab.exchange"),
    ("lab.sweeping",),
    ("lab.reproduce",),
    ("lab.cli",),
    ("lab.__main__",),
)
"""Packages from the lowest up: each may import those of the layers below it. `lab` itself is a façade that nothing imports."""
FACADES = {"lab"}

WITHOUT = {
    "lab": {"torch", "lightning", "pandas", "scipy", "pydantic"},
    "tasks": {"torch", "lightning", "pandas", "scipy", "pydantic", "lab"},
    "lab.config": {"torch", "lightning", "pandas", "scipy"},
    "lab.stats": {"torch", "lightning"},
    "lab.plots": {"torch", "lightning"},
    "lab.model": {"lightning", "pandas"},
    "lab.objectives": {"lightning", "pandas"},
    "lab.decoding": {"lightning", "pandas"},
}
"""Packages that no module of a package loads when it is imported."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for package in ("lab", "tasks") for path in sorted((ROOT / package).rglob("*.py"))}


@functools.cache
def imports(module: str, loading: bool = False) -> frozenset[str]:
    """Return what a module imports: modules of ours with their packages, others by package.

    Args:
        module: One of ours.
        loading: Whether to return only what the module imports while it is imported itself.
    """
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    found = {name for node in (executed(tree) if loading else ast.walk(tree)) for name in imported(node)}
    packages = {package(name) for name in found & FILES.keys()} - {package(module)}
    return frozenset(found | packages & FILES.keys())


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, without those within functions and for the type checker."""
    yield node
    if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        return
    for child in ast.iter_child_nodes(node):
        yield from executed(child)


def imported(node: ast.AST) -> Iterator[str]:
    """Yield what a statement imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name if alias.name in FILES else alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        assert node.module is not None
        for alias in node.names:
            names = (f"{node.module}.{alias.name}", node.module, node.module.partition(".")[0])
            yield next((name for name in names if name in FILES), names[-1])


def reached(module: str, within: str | None = None, loading: bool = False) -> set[str]:
    """Return all that a module imports, directly or through modules of one package, of any by default."""
    found: set[str] = set()
    left = [module]
    while left:
        for name in imports(left.pop(), loading) - found:
            found.add(name)
            left += [name] if name in FILES and within in (None, package(name)) else []
    return found


def package(module: str) -> str:
    """Return the package of a module, as `LAYERS` names it."""
    return ".".join(module.split(".")[:2]) if module.startswith("lab.") else module.partition(".")[0]


def layer(module: str) -> int:
    (found,) = [number for number, packages in enumerate(LAYERS) if package(module) in packages]
    return found


def test_no_import_points_upwards() -> None:
    """Nor does an import point sideways, so that cycles between packages are impossible."""
    found = {
        (module, name)
        for module in FILES.keys() - FACADES
        for name in imports(module) & FILES.keys()
        if package(name) != package(module) and (name in FACADES or layer(name) >= layer(module))
    }
    assert not found


def test_no_imports_close_a_cycle() -> None:
    assert not {module for module in FILES if module in reached(module, package(module))}


def test_light_packages_load_nothing_heavy() -> None:
    found = {(module, name) for module in FILES for name in reached(module, loading=True) & WITHOUT.get(package(module), set())}
    assert not found


def test_tasks_need_only_numpy() -> None:
    others = {name for module in FILES if package(module) == "tasks" for name in imports(module) - FILES.keys()}
    assert others - sys.stdlib_module_names == {"numpy", "tokenizers"}  # tokenizers: of a corpus
