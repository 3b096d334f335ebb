"""The typed description of an experiment, its named sizes, and the ways to get one."""

from lab.config.experiment import Experiment
from lab.config.files import dump, experiment, load, override
from lab.config.kinds import HeadKind, ParameterCounts
from lab.config.matching import resolve
from lab.config.model import ModelSettings
from lab.config.sizes import SIZES

__all__ = [
    "SIZES",
    "Experiment",
    "HeadKind",
    "ModelSettings",
    "ParameterCounts",
    "dump",
    "experiment",
    "load",
    "override",
    "resolve",
]
