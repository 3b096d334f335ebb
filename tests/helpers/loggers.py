"""Readers of what loggers have written, and a logger that needs no package."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lab
from lab.training.loggers import Logged, Logger

Series = dict[str, list[tuple[int, float]]]
"""Points (step, value) by metric."""


class Plain(Logger):
    """A logger that writes lines of JSON into a file next to the run's folder."""

    package = "json"

    def __init__(self, run: Logged) -> None:
        self._path = run.path.parent / f"{run.path.name}-{run.id}.jsonl"
        self._write({"settings": run.settings, "last_step": run.last_step})

    def has(self, step: int) -> bool:
        return any(line.get("step") == step for line in map(json.loads, self._path.read_text().splitlines()))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._write({"step": step, "values": values})

    def close(self, state: str) -> None:
        self._write({"state": state})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_plain(run: lab.Run) -> tuple[Series, Any]:
    lines = [json.loads(line) for line in plain_log(run).read_text().splitlines()]
    series: Series = {}
    for line in lines:
        for name, value in line.get("values", {}).items():
            series.setdefault(name, []).append((line["step"], value))
    return series, lines[0]["settings"]["model.width"]


def plain_log(run: lab.Run) -> Path:
    return run.path.parent / f"{run.path.name}-{run.record['loggers']['id']}.jsonl"


def read_tensorboard(run: lab.Run) -> tuple[Series, Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    log = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"scalars": 0})
    log.Reload()
    series = {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
    settings = HParamsPluginData.FromString(log.PluginTagToContent("hparams")["_hparams_/session_start_info"])
    return series, settings.session_start_info.hparams["model.width"].number_value


def read_wandb(run: lab.Run) -> tuple[Series, Any]:
    (file,) = run.path.glob("wandb/offline-run-*/*.wandb")
    series: Series = {}
    settings: dict[str, Any] = {}
    for record in wandb_records(file):
        values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for name, value in values.items():
            series.setdefault(name, []).append((values["_step"], value))
        settings |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    return {name: points for name, points in series.items() if not name.startswith("_")}, settings["model.width"]


def wandb_records(file: Path) -> Iterator[Any]:
    """Read the records of an offline run: LevelDB's log format after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, offset, parts, header, block = file.read_bytes(), 7, b"", struct.Struct("<IHB"), 2**15
    while offset + header.size <= len(data):
        if (left := block - offset % block) < header.size:
            offset += left
            continue
        _, size, kind = header.unpack_from(data, offset)
        parts += data[offset + header.size : offset + header.size + size]
        offset += header.size + size
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def read_mlflow(run: lab.Run) -> tuple[Series, Any]:
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mtp-lab")
    (found,) = client.search_runs([experiment.experiment_id], f"tags.`mtp-lab.id` = '{run.record['loggers']['id']}'")
    assert found.info.status == "FINISHED"
    each = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    names = {row.metric.replace(":", "/"): row.metric for row in run.metrics()}  # MLflow's have no colon
    series = {names[name]: [(point.step, point.value) for point in points] for name, points in each.items()}
    return series, int(found.data.params["model.width"])


READERS: dict[str, Callable[[lab.Run], tuple[Series, Any]]] = {
    "plain": read_plain,
    "tensorboard": read_tensorboard,
    "wandb": read_wandb,
    "mlflow": read_mlflow,
}
"""Readers by logger; each returns the series and the setting `model.width`."""
