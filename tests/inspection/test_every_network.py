"""Every instrument on networks of every task and kind of heads gives a frame and a figure, or one line with the reason."""

from pathlib import Path
from typing import Any

import pytest

import lab
from lab.cli.main import main
from lab.config.kinds import KINDS
from lab.inspection.instruments import INSTRUMENTS
from tests.helpers.every_task import EVERY
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny

CASES: list[dict[str, Any]] = [
    *({"task": task} for task in EVERY),
    *({"model__heads": kind, "n_future": n} for kind in KINDS for n in (1, 2)),
    {"model__n_heads": 1, "n_future": 4, "model__layers": 5},
    {"objective__teacherless": True, "task": "star"},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", CASES, ids=lambda changes: "-".join(str(value).split(":")[0] for value in changes.values()))
def test_each_instrument_gives_numbers_or_one_line(
    changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", tiny(**{"task": "agreement"} | changes), {12: {"loss/all/1": 1.0}}, weights=True)
    files = sorted(run.path.iterdir())
    for name, instrument in INSTRUMENTS.items():
        status = main(["inspect", name, str(run.path), "--sequences", "16", "-o", str(tmp_path / f"{name}.png")])
        written, error = {path.name for path in tmp_path.iterdir()} - {"run"}, capsys.readouterr().err
        assert status in (0, 2), name
        assert written == ({f"{name}.png", f"{name}.csv"} if status == 0 else set()), name
        assert error.count("\n") == (0 if status == 0 else 1), error
        for path in tmp_path.glob(f"{name}.*"):
            path.unlink()
        if status == 0:
            frame = lab.inspect(name, run, sequences=16)
            assert not frame.duplicated(["run", "step", *instrument.coordinates]).any()
    assert sorted(run.path.iterdir()) == files


def test_patching_without_shares_draws_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", tiny("bigram"), weights=True)
    frame = lab.inspect("patching", run, sequences=16)
    assert frame.loc[frame["quantity"] == "restored", "value"].isna().all()  # the initial weights prefer no answer
    assert main(["inspect", "patching", str(run.path), "--sequences", "16", "-o", str(tmp_path / "a.png")]) == 2
    assert "no clean run prefers the right answer" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
