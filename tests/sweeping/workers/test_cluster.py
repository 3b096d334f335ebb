"""A real Ray of two nodes on this machine, one of which is lost in the middle of a run."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.sweeping.prepare import prepare
from lab.sweeping.run import run
from lab.sweeping.workers.settings import Workers
from tests.helpers.sweeps import grid, numbers, run_worker, set_up_sweep

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _default_niceness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Ray's workers the usual priority: at their default niceness they would hardly run on a busy machine."""
    monkeypatch.setenv("RAY_worker_niceness", "0")


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_lost_node_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    description = grid({"steps": 1500, "evaluation.every": 50}, seeds=3)
    other = cluster.add_node(num_cpus=1)
    prepared = prepare(description, tmp_path / "out")
    lost: list[str] = []

    def remove_node() -> None:
        """Remove a node once both workers are in a run."""
        until = time.monotonic() + 240
        while len([path for path in (tmp_path / "out").glob("n*") if list(path.glob("checkpoint-*"))]) < 2:
            if time.monotonic() > until:
                return
            time.sleep(0.05)
        cluster.remove_node(other, allow_graceful=False)
        lost.extend(path.name for path in (tmp_path / "out").glob("n*") if lab.Run(path).state == "running")

    thread = threading.Thread(target=remove_node)
    thread.start()

    found = run(prepared, Workers(2, "ray", cluster.address))
    thread.join()
    assert len(lost) == 2
    assert found.sentence() == "6 runs of 2 configurations: 6 finished"
    run_worker(set_up_sweep(description, tmp_path / "whole"))
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")


def test_a_sweep_starts_its_own_ray(tmp_path: Path) -> None:
    try:
        found = lab.sweep(grid(seeds=1), tmp_path / "out", workers=Workers(1, "ray"))
    finally:
        ray.shutdown()
    assert found.sentence() == "2 runs of 2 configurations: 2 finished"


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match=r"Ray at 127\.0\.0\.1:1 does not answer"):
        lab.sweep(grid(), tmp_path / "out", workers=Workers(engine="ray", address="127.0.0.1:1"))
