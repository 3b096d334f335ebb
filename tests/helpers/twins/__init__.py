"""Naive twins of objectives with losses of another form than one cross-entropy for each prediction head.

A twin computes each loss of a step, by name, from the module's weights, in plain loops over sequences and positions.
A new twin is a module here and one line in `TWINS`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from lab.training.module import TrainingModule
from tasks import Batch
from tests.helpers.twins.coarse import coarse
from tests.helpers.twins.future_bag import future_bag
from tests.helpers.twins.headless import headless
from tests.helpers.twins.hinge import hinge
from tests.helpers.twins.next_latent import next_latent
from tests.helpers.twins.registers import registers

Twin = Callable[[TrainingModule, Batch], Mapping[str, Tensor]]
TWINS: Mapping[str, Twin] = {
    "coarse": coarse,
    "future_bag": future_bag,
    "headless": headless,
    "hinge": hinge,
    "next_latent": next_latent,
    "registers": registers,
}
