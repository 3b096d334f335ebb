"""Packages that are imported in part have the right names; any other name completes the import."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.loading import import_partly, without_collection

NAMES = {"Small": "small"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that writes a package whose `__init__` imports a large module and a small one."""

    def make(small: str = "class Small: ...") -> str:
        folder = tmp_path / "partial"
        folder.mkdir()
        (folder / "__init__.py").write_text("given = 'own'\nfrom partial.small import Small\nfrom partial.large import Large\n")
        (folder / "small.py").write_text(small)
        (folder / "large.py").write_text("class Large: ...")
        monkeypatch.syspath_prepend(tmp_path)
        for name in ("partial", "partial.small", "partial.large"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return "partial"

    return make


def test_only_the_named_modules_are_imported(package: Callable[..., str]) -> None:
    import_partly(package(), NAMES)
    from partial import Small

    assert Small.__module__ == "partial.small"
    assert "partial.large" not in sys.modules


def test_another_name_completes_the_package(package: Callable[..., str]) -> None:
    import_partly(package(), NAMES, given="ours")
    import partial

    before = partial.Small
    assert partial.given == "ours"
    assert partial.Large.__module__ == "partial.large"
    assert partial.Small is before
    assert partial.given == "own"
    with pytest.raises(AttributeError):
        _ = partial.absent


def test_a_star_import_completes_the_package(package: Callable[..., str]) -> None:
    import_partly(package(), NAMES)
    found: dict[str, object] = {}
    exec("from partial import *", found)
    assert {"Small", "Large"} <= found.keys()


def test_looking_for_a_dunder_name_completes_nothing(package: Callable[..., str]) -> None:
    import_partly(package(), NAMES)
    assert not hasattr(sys.modules["partial"], "__wrapped__")
    assert "partial.large" not in sys.modules


def test_modules_can_import_the_given_names(package: Callable[..., str]) -> None:
    import_partly(package("from partial import given\nclass Small: ..."), NAMES, given="ours")
    assert sys.modules["partial.small"].given == "ours"


@pytest.mark.parametrize("small", ["import partial.absent", "from partial import absent", "class Other: ..."])
def test_a_package_of_another_version_is_left_alone(package: Callable[..., str], small: str) -> None:
    import_partly(package(small), NAMES)
    assert not [name for name in sys.modules if name.partition(".")[0] == "partial"]


def test_an_imported_package_does_not_change(package: Callable[..., str]) -> None:
    package()
    import partial

    import_partly("partial", NAMES, given="ours")
    assert partial.given == "own"


def test_a_missing_package_is_no_error() -> None:
    import_partly("mtp_lab_has_no_such_package", NAMES)
    assert "mtp_lab_has_no_such_package" not in sys.modules


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_restored_after_a_pause(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with without_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
