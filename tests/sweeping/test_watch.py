"""Runs are watched until all have ended: in lines, in a table, in a notebook and as a page."""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console

import lab
from lab.cli.main import main
from lab.runs import notebook
from lab.runs.sparkline import sparkline
from lab.sweeping import watch as watching
from lab.sweeping.sources import find
from tests.helpers.growing import Growing
from tests.helpers.rejection import assert_rejected
from tests.helpers.runs import make_run
from tests.helpers.sweeps import SHORT, grid, run_worker, search, set_up_sweep

RELOADS = 'http-equiv="refresh"'


@pytest.fixture(autouse=True)
def change_to_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Return a list of events, of which each sleep runs the next; the clock advances by the seconds of each sleep."""
    events: list[Callable[[], object]] = []
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if events:
            events.pop(0)()

    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watching.time, "sleep", sleep)
    return events


def start_run(path: str = "runs/a", **settings: object) -> Growing:
    experiment = lab.experiment("induction", {"steps": 100, "schedule.warmup_steps": 0, **settings})
    run = Growing(Path(path), experiment)
    run.measure(0, 0.1)
    return run


def watch_output(*, terminal: bool = False, **options: object) -> str:
    """Watch the runs and return the output to a terminal or a pipe."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    lab.watch("runs", console=console, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_lines_follow_a_run_to_its_end(events: list[Callable[[], object]]) -> None:
    run = start_run()
    events += [lambda: run.measure(20, 0.25), lambda: None, lambda: run.measure(100, 0.9), run.end]
    assert watch_output().splitlines() == [
        "a  running  step 0/100  accuracy/copy/1 0.100",
        "a  running  step 20/100  accuracy/copy/1 0.250  8 s left",
        "a  running  step 100/100  accuracy/copy/1 0.900  0 s left",
        "a  finished  step 100/100  accuracy/copy/1 0.900",
    ]
    assert not events


@pytest.mark.parametrize("state", ["killed", "diverged", "stopped"])
def test_any_end_of_a_run_ends_the_watch(state: str, events: list[Callable[[], object]]) -> None:
    run = start_run()
    events.append(lambda: run.end(state))
    assert watch_output().splitlines()[-1].startswith(f"a  {state}  step 0/100")


def test_the_watch_waits_for_the_next_run_of_a_command(events: list[Callable[[], object]]) -> None:
    first, others = start_run("runs/a"), []
    events += [first.end, lambda: others.append(start_run("runs/b", seed=1)), lambda: others[0].end()]
    assert [line.split("  ")[:2] for line in watch_output().splitlines()] == [
        ["a", "running"],
        ["a", "finished"],
        ["b", "running"],
        ["b", "finished"],
    ]


def test_runs_that_have_ended_are_shown_once(events: list[Callable[[], object]]) -> None:
    start_run().end()
    events.append(lambda: pytest.fail("nothing is awaited"))
    assert watch_output().count("\n") == 1


def test_each_run_counts_once_under_a_name_of_its_own(tmp_path: Path) -> None:
    for path in ("runs/a", "runs/b", "others/a"):
        start_run(path).end()
    (tmp_path / "link").symlink_to("runs")
    snapshot = find(["runs", "runs/a", "link", "link/b", "others"]).read()
    assert [each.name for each in snapshot.statuses] == ["runs/a", "b", "others/a"]
    assert snapshot.total == 3


def test_no_runs_are_rejected() -> None:
    with pytest.raises(lab.LabError, match="runs must hold at least one run"):
        find([])
    with pytest.raises(lab.LabError, match="runs must hold at least one run"):
        lab.compare([], by="n_future")


def test_waiting_runs_of_a_lost_sweep_end_the_watch(events: list[Callable[[], object]]) -> None:
    set_up_sweep(grid(), Path("runs"))
    assert watch_output() == ""


def test_a_sweep_is_followed_while_its_runs_wait(events: list[Callable[[], object]]) -> None:
    job = set_up_sweep(grid(SHORT, seeds=1), Path("runs"))
    events += [lambda: None, lambda: run_worker(job)]
    assert [line.split("  ")[:2] for line in watch_output().splitlines()] == [
        ["n1-seed0", "finished"],
        ["n2-seed0", "finished"],
    ]


def test_a_terminal_has_a_table_with_curves(events: list[Callable[[], object]]) -> None:
    run = start_run()
    make_run(Path("runs/z"), lab.experiment("induction", seed=3), state="failed")
    events += [lambda: run.measure(20, 1.0), run.end]
    out = watch_output(terminal=True)
    assert "2 runs: 1 running, 1 failed; about 8 s left" in out
    assert "▂█" in out
    assert "2 runs: 1 finished, 1 failed" in out.rpartition("2 runs: 1 running")[2]


def test_a_terminal_has_the_reason_of_a_run_without_a_result(events: list[Callable[[], object]]) -> None:
    start_run().end("finished")
    for number in range(12):
        start_run(f"runs/b{number:02}").end("finished")
        Path(f"runs/b{number:02}/run.json").write_text("{")
    below = watch_output(terminal=True).partition("b11  damaged")[2]
    assert "b00: runs/b00/run.json: not JSON" in below
    assert "b09: runs/b09/run.json: not JSON" in below
    assert "b10: " not in below
    assert "and 2 more" in below
    assert "\na: " not in below


def test_a_page_reloads_until_the_end(events: list[Callable[[], object]]) -> None:
    run, seen = start_run(), []
    events += [lambda: seen.append(Path("a.html").read_text()), run.end]
    watch_output(out="a.html")
    assert RELOADS in seen[0]
    assert "1 run: 1 running" in seen[0]
    page = Path("a.html").read_text()
    assert RELOADS not in page
    assert "1 run: 1 finished" in page
    assert list(Path().glob(".*")) == [], "no other file is left"


def test_a_search_that_has_not_begun_has_a_page(events: list[Callable[[], object]]) -> None:
    set_up_sweep(search(), Path("runs"))
    watch_output(out="page.html")
    assert "4 runs: 4 waiting." in Path("page.html").read_text()


def test_ctrl_c_ends_the_watch_but_not_the_runs(events: list[Callable[[], object]], capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    run = start_run()
    events.append(interrupt)
    assert main(["watch", "runs", "-o", "a.html"]) == 130
    assert capsys.readouterr().err == "lab: no longer watched; the runs go on\n"
    assert run.run.state == "running"
    assert RELOADS not in Path("a.html").read_text()
    run.end()


def test_a_watch_without_a_reader_ends(events: list[Callable[[], object]], capfd: pytest.CaptureFixture[str]) -> None:
    start_run()
    reader, writer = os.pipe()
    os.close(reader)
    events.append(lambda: pytest.fail("nobody reads it"))
    with os.fdopen(writer, "w") as stream, redirect_stdout(stream):
        assert main(["watch", "runs"]) == 0
    assert capfd.readouterr().err == ""


def test_a_notebook_shows_curves_in_place(events: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class FakeOutput:
        def show(self, html: str, text: str) -> None:
            shown.append(html)

    monkeypatch.setattr(watching, "in_notebook", lambda: True)
    monkeypatch.setattr(watching, "Output", FakeOutput)
    run = start_run()
    events += [lambda: run.measure(20, 0.3), lambda: None, run.end]
    assert run.run.watch() is None
    assert [html.count("data:image/png") for html in shown] == [0, 1, 1]
    assert "1 run: 1 finished" in shown[-1]


def test_the_output_of_a_cell_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    updates: list[object] = []

    class Handle:
        def update(self, data: object, raw: bool) -> None:
            updates.append(data)

    monkeypatch.setattr(display, "display", lambda *_, **__: Handle())
    notebook.Output().show("<b>", "b")
    assert updates == [{"text/html": "<b>", "text/plain": "b"}]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["gone"], "gone: no such folder"),
        (["runs", "--every", "0"], "--every must be between 0.1 and 3600, not 0"),
        (["runs", "--by", "seed"], "--by is for a page: give --out"),
        (["runs", "--metric", "accuracy/copi/1"], "did you mean 'accuracy/copy/1'"),
        (["runs", "-o", "a.html", "--by", "withd"], "do not differ in 'withd'"),
        (["runs", "-o", "a.png"], "a.png: the file must be a .html"),
        (["runs", "-o", "runs/a/a.html"], "lies in the run a"),
    ],
)
def test_wrong_input_is_named_in_one_line(options: Sequence[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_run().end()
    assert_rejected(["watch", *options], (expected,), capsys)


@pytest.mark.parametrize("command", [["watch", "runs"], ["report", "runs", "-o", "page.html"]], ids="-".join)
def test_no_other_page_is_advised_for_a_wrong_sweep(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    set_up_sweep(grid(), Path("runs"))
    Path("runs/n1-seed0").mkdir()
    assert_rejected(command, ("runs/n1-seed0: exists already and is no run\n",), capsys)


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([0.0, 0.5, 1.0], 8, "▁▅█"),
        ([0.0, 1.0, 0.0, 1.0], 2, "▁█"),
        ([float("nan"), 2.0, -1.0], 3, "?█▁"),
        ([], 3, ""),
    ],
)
def test_a_sparkline_keeps_the_ends(values: list[float], width: int, expected: str) -> None:
    assert sparkline(values, 0.0, 1.0, width) == expected
    assert len(sparkline(values, 0.0, 1.0, width, ascii_only=True).encode("ascii")) == len(expected)
