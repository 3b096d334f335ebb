"""The table of figures: descriptions and options follow from the functions; a user's own function works as well."""

import inspect
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab import plots
from lab.cli.main import main
from lab.cli.options import function_options
from tests.helpers.runs import make_run

PAIRED = '''
import pandas as pd
from matplotlib.figure import Figure

from lab import plots
from lab.stats.conditions import rows_of


def paired(frame: pd.DataFrame, metric: str, *, alpha: float = 0.5) -> tuple[Figure, pd.DataFrame]:
    """Draw a line for each seed from n = 1 to n = 2.

    Args:
        frame: A tidy frame.
        metric: Name of the metric.
        alpha: Opacity of the lines.
    """
    ends = rows_of(frame, metric).groupby(["n_future", "seed"])["value"].last().unstack()
    axes = plots.new_axes()
    axes.plot(ends.index, ends.to_numpy(), color="black", alpha=alpha)
    return axes.figure, ends.reset_index()
'''


@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_documents_its_options(name: str) -> None:
    draw = plots.find_figure(name)
    assert (inspect.getdoc(draw) or "").startswith("Draw ")
    for option, settings in function_options(draw, skip=1).items():
        assert settings["help"], option


def test_a_users_figure_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_figures.py").write_text(PAIRED)
    for n in (1, 2):
        curve = {step: {"accuracy/copy/1": step * n / 20} for step in (0, 10)}
        make_run(Path(f"runs/n{n}"), lab.experiment("induction", n_future=n), curve)
    assert main(["plot", "my_figures:paired", "runs", "-o", "a.png", "--alpha", "1"]) == 0
    assert pd.read_csv("a.csv")["0"].tolist() == [0.5, 1.0]
    assert main(["plot", "my_figures:pair", "runs", "-o", "a.png"]) == 2
    assert "my_figures:pair" in capsys.readouterr().err
