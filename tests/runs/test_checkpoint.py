from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import LabError
from lab.runs.checkpoint import pack, unpack
from lab.runs.layout import STATE, TENSORS
from lab.runs.tensors import save_tensors
from lab.training.checkpoint_io import SafetensorsIO

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
keys = st.text(max_size=4) | st.integers()
structures = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3)
)


@given(structures)
@settings(max_examples=80, deadline=None)
def test_packing_and_unpacking_gives_the_same_structure(structure: object) -> None:
    assert unpack(pack(structure, {}), {}) == structure


def test_tensors_of_any_type_are_restored_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "weights": {"a.b": torch.randn(3, 2).T, 7: torch.tensor(2.5, dtype=torch.float64)},
        "list": [torch.arange(4), torch.tensor([], dtype=torch.bfloat16), (torch.tensor(True), "x")],
    }
    SafetensorsIO().save_checkpoint(state, tmp_path / "checkpoint-00000001")
    found = SafetensorsIO().load_checkpoint(tmp_path / "checkpoint-00000001")
    assert torch.equal(found["weights"]["a.b"], state["weights"]["a.b"])
    assert found["weights"][7].dtype == torch.float64
    assert torch.equal(found["list"][0], torch.arange(4))
    assert found["list"][1].dtype == torch.bfloat16
    assert isinstance(found["list"][2], tuple)


def test_objects_that_need_a_pickle_are_rejected() -> None:
    with pytest.raises(LabError, match=r"callbacks\.thing: a set cannot be written without pickle"):
        pack({"callbacks": {"thing": {1, 2}}}, {})


def test_a_newer_checkpoint_replaces_the_older(tmp_path: Path) -> None:
    for step in (1, 2):
        SafetensorsIO().save_checkpoint({"step": step}, tmp_path / f"checkpoint-{step:08d}")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000002"]


@pytest.mark.parametrize("name", [STATE, TENSORS])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_a_damaged_checkpoint_is_rejected_in_one_line(tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "checkpoint-00000001"
    SafetensorsIO().save_checkpoint({"weights": torch.randn(50), "note": "x" * 50}, folder)
    file = folder / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 40 if damage == "cut" else 0])
    with pytest.raises(LabError, match=name) as caught:
        SafetensorsIO().load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_no_pickle_is_ever_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was loaded")

    SafetensorsIO().save_checkpoint({"weights": torch.randn(5)}, tmp_path / "checkpoint-00000001")
    monkeypatch.setattr("torch.load", forbid)
    monkeypatch.setattr("pickle.load", forbid)
    monkeypatch.setattr("pickle.loads", forbid)
    SafetensorsIO().load_checkpoint(tmp_path / "checkpoint-00000001")
    assert not list(tmp_path.rglob("*.pt"))


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SafetensorsIO().save_checkpoint({"step": 1}, tmp_path / "checkpoint-00000001")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.runs.tensors.save_file", fail)
    with pytest.raises(LabError, match="No space left on device"):
        SafetensorsIO().save_checkpoint({"step": 2}, tmp_path / "checkpoint-00000002")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001"]


def test_files_of_tensors_have_the_mode_of_any_new_file(tmp_path: Path) -> None:
    save_tensors({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
