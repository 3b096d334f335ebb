"""The documented coverage of intervals in docs/statistics.md matches a simulation."""

from pathlib import Path

import pytest

from benchmarks import coverage

pytestmark = pytest.mark.process  # seconds each

DOCS = Path(__file__).parents[2] / "docs" / "statistics.md"


def read_documented() -> dict[str, dict[int, int]]:
    """Return the per cents of the documented table, by kind of interval and by number of seeds."""
    text = DOCS.read_text(encoding="utf-8")
    table = next(part for part in text.split("\n\n") if "| mean, normal |" in part)
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    (_, *seeds), _, *body = rows
    return {name: {int(n): int(value) for n, value in zip(seeds, values, strict=True)} for name, *values in body}


def test_the_table_has_each_interval_and_number_of_seeds() -> None:
    rows = coverage.tabulate_coverage(datasets=10)
    assert list(read_documented()) == [name for name, *_ in rows]
    assert all(tuple(row) == coverage.SEEDS for row in read_documented().values())


@pytest.mark.parametrize(
    ("name", "seeds"), [("normal", 2), ("normal", 8), ("exponential", 8), ("two-peaked, 1 in 4", 5), ("two-peaked, 1 in 8", 8)]
)
def test_documented_coverage_matches_a_simulation(name: str, seeds: int) -> None:
    draw, mean = coverage.DISTRIBUTIONS[name]
    simulated = coverage.simulate_coverage(draw, mean, seeds, datasets=1000, seed=1)
    assert 100 * simulated == pytest.approx(read_documented()[f"mean, {name}"][seeds], abs=5)


def test_exact_intervals_of_shares_cover_their_level() -> None:
    for name, share in (("1 in 4", 1 / 4), ("1 in 8", 1 / 8)):
        row = read_documented()[f"exact share, {name}"]
        assert row == {seeds: round(100 * coverage.compute_share_coverage(share, seeds)) for seeds in coverage.SEEDS}
        assert min(row.values()) >= 90


def test_the_command_prints_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["coverage", "--datasets", "10"])
    coverage.main()
    assert "exact share, 1 in 8" in capsys.readouterr().out
