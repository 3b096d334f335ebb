"""The optimiser has the settings of the experiment."""

from lab.training.module import TrainingModule
from tests.helpers.tiny import tiny


def test_adamw_has_the_settings_of_the_experiment() -> None:
    settings = {"peak_lr": 0.01, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3, "weight_decay": 0.3}
    experiment = tiny(**{f"optimiser__{name}": value for name, value in settings.items()})
    decayed, kept = TrainingModule(experiment).configure_optimizers()["optimizer"].param_groups
    for group, decay in ((decayed, 0.3), (kept, 0.0)):
        assert (group["initial_lr"], group["betas"], group["eps"]) == (0.01, (0.8, 0.99), 1e-3)
        assert group["weight_decay"] == decay
