"""The public names of `lab`, and where they come from: the only list of them."""

from .config import Experiment as Experiment
from .config import dump as dump
from .config import experiment as experiment
from .config import load as load
from .config import override as override
from .config import resolve as resolve
from .errors import Diverged as Diverged
from .errors import Interrupted as Interrupted
from .errors import LabError as LabError
from .evaluation.after_training import evaluate as evaluate
from .evaluation.decode import decode as decode
from .exchange import export as export
from .exchange import import_llama as import_llama
from .exchange import read_llama as read_llama
from .inspection.inspect import inspect as inspect
from .runs import Run as Run
from .runs import frame as frame
from .runs import open_runs as open_runs
from .sweeping import Sweep as Sweep
from .sweeping import sweep as sweep
from .sweeping.report import report as report
from .training import resume as resume
from .training import train as train
from .training import train_each as train_each
from .training import train_ensemble as train_ensemble
from .training import with_step_time as with_step_time
