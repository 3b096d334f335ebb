"""Every notebook runs from top to bottom, here with fewer steps, and is committed with outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.process  # seconds each

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of the runs that notebooks share."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=() if path.stem < "02" else pytest.mark.slow, id=path.stem) for path in NOTEBOOKS]
)
def test_the_notebook_runs_from_top_to_bottom(path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_STEPS", "40")
    monkeypatch.setenv("NOTEBOOK_RUNS", str(runs))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_outputs_and_no_local_paths(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "/root/" not in path.read_text()
    assert "/home/" not in path.read_text()
    assert "?" in notebook.cells[0].source.splitlines()[0], "a notebook opens with its question"
