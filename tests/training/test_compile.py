from pathlib import Path

import pytest
import torch._dynamo

import lab
from lab.config.objective_table import OBJECTIVES
from tests.helpers.tiny import tiny


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # warnings of torch's compiler about torch's own code
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_compiled_steps_train_as_eager_ones(tmp_path: Path, precision: str) -> None:
    eager = lab.train(tiny(precision=precision), tmp_path / "eager")
    compiled = lab.train(tiny(precision=precision, compile="default"), tmp_path / "compiled")
    tolerance = 1e-4 if precision == "float32" else 0.05
    for one, other in zip(compiled.metrics(), eager.metrics(), strict=True):
        assert one[:3] == other[:3]
        if one.metric.startswith(("loss", "train")):
            assert one.value == pytest.approx(other.value, rel=tolerance, abs=tolerance), one.metric


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("name", [name for name, kind in OBJECTIVES.items() if not kind.plain])
def test_objectives_of_another_form_can_be_compiled(tmp_path: Path, name: str) -> None:
    experiment = tiny(objective__name=name, steps=4, evaluation__every=4, schedule__warmup_steps=0)
    eager = lab.train(experiment, tmp_path / "eager")
    compiled = lab.train(lab.override(experiment, {"compile": "default"}), tmp_path / "compiled")
    for one, other in zip(compiled.metrics(), eager.metrics(), strict=True):
        assert one.metric == other.metric
        if one.metric.startswith(("loss", "train")):
            assert one.value == pytest.approx(other.value, rel=1e-4, abs=1e-4), one.metric


def test_a_compiled_module_has_the_names_of_an_eager_one() -> None:
    from lab.training.module import TrainingModule

    eager, compiled = TrainingModule(tiny()), TrainingModule(tiny(compile="default"))
    assert list(compiled.state_dict()) == list(eager.state_dict())
    assert all(name.startswith("network.") for name in eager.state_dict())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_earlier_runs_in_a_process_do_not_stop_compilation(tmp_path: Path) -> None:
    """After its limit of recompilations torch would continue without compiling, and only log that."""
    with torch._dynamo.config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True):
        for number, length in enumerate((16, 20, 24, 28)):
            lab.train(tiny(compile="default", task__length=length), tmp_path / str(number))
