import io
from pathlib import Path

from rich.console import Console

import lab
from lab.training.progress import Lines, Live, Progress, progress_for
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


def test_lines_say_what_is_left() -> None:
    lines: list[str] = []
    progress = Lines(tiny(steps=1000), lines.append)
    progress.start(0)
    progress.measured(0, VALUES)
    progress.measured(500, VALUES)
    progress.measured(1000, VALUES)
    assert [line[:14] for line in lines] == ["step    0/1000", "step  500/1000", "step 1000/1000"]
    assert all("loss 2.500 nats  accuracy/copy/1 0.250" in line for line in lines)
    assert [line.endswith("s left") for line in lines] == [False, True, False]


def test_nobody_need_listen() -> None:
    silent = Progress(tiny())
    silent.start(3)
    silent.advance(4)
    silent.measured(4, VALUES)
    silent.stop()
    assert "loss 2.500 nats" in silent.summary(4, VALUES)
