import io
from pathlib import Path

import pytest
from rich.console import Console

import lab
from lab.training import progress as module
from lab.training.progress import Lines, Live, Progress, default_progress, progress_for
from tests.helpers.tiny import tiny

VALUES = {"loss/all/1": 2.5, "accuracy/copy/1": 0.25}


def test_a_terminal_gets_a_live_bar_and_a_file_gets_lines() -> None:
    assert isinstance(progress_for(tiny(), Console(file=io.StringIO(), force_terminal=True)), Live)
    assert isinstance(progress_for(tiny(), Console(file=io.StringIO(), force_terminal=False)), Lines)


def test_the_live_bar_shows_loss_metric_speed_and_steps(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    lab.train(tiny(), tmp_path / "run", progress=progress_for(tiny(), console))
    shown = screen.getvalue()
    for words in ("nats", "accuracy/copy/1", "sequences/s", "12/12 steps"):
        assert words in shown


def test_lines_state_the_time_left() -> None:
    lines: list[str] = []
    progress = Lines(tiny(steps=1000), lines.append)
    progress.start(0)
    progress.measured(0, VALUES)
    progress.measured(500, VALUES)
    progress.measured(1000, VALUES)
    assert [line[:14] for line in lines] == ["step    0/1000", "step  500/1000", "step 1000/1000"]
    assert all("loss 2.500 nats  accuracy/copy/1 0.250" in line for line in lines)
    assert [line.endswith("s left") for line in lines] == [False, True, False]


def test_progress_may_have_no_output() -> None:
    silent = Progress(tiny())
    silent.start(3)
    silent.advance(4)
    silent.measured(4, VALUES)
    silent.stop()
    assert "loss 2.500 nats" in silent.summary(4, VALUES)


def test_a_notebook_gets_a_bar_with_a_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, str]] = []

    class FakeOutput:
        def show(self, html: str, text: str) -> None:
            shown.append((html, text))

    monkeypatch.setattr(module, "Output", FakeOutput)
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    progress = default_progress(tiny(steps=10, seed=7))
    progress.start(0)
    progress.measured(0, VALUES)
    progress.advance(1)  # too soon for another update
    progress.measured(5, VALUES | {"accuracy/copy/1": 1.0})
    progress.measured(10, VALUES | {"accuracy/copy/1": 0.0})
    progress.stop()
    assert [html.partition(" max")[0] for html, _ in shown] == [f'<div><progress value="{step}"' for step in (0, 0, 5, 10, 10)]
    assert "induction, n = 2, seed 7: step 5/10, 0 s left" in shown[2][1]
    assert "▃█▁" in shown[-1][0]
    assert "accuracy/copy/1 0.000" in shown[-1][1]


def test_a_script_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lab.train(tiny(), tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert type(default_progress(tiny())) is Progress


NOTEBOOK = """
import lab
from tests.helpers.tiny import tiny
run = lab.train(tiny(), "run")
display(run)
run.watch()
run._ipython_key_completions_()[0]
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_training_in_a_notebook_shows_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    progress, table, watched, name = [output["data"] for output in notebook.cells[0].outputs]
    assert '<progress value="12" max="12">' in progress["text/html"]
    assert "step 12/12" in progress["text/plain"]
    assert "<table>" in table["text/html"]
    assert table["text/plain"].startswith("<Run run: task induction, n 2, seed 0, state finished")
    assert "1 run: 1 finished" in watched["text/html"]
    assert "data:image/png;base64," in watched["text/html"]
    assert name["text/plain"] == "'loss/new/1'"
