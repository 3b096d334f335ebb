"""Import what Lightning uses of torchmetrics, whose `__init__` imports a hundred metrics, scipy.signal and transformers."""

from __future__ import annotations

import logging

from lab.loading import import_partly

_USED = {
    "rank_zero_warn": "utilities",  # first: it and `metric` import each other
    "Metric": "metric",
    "MetricCollection": "collections",
    "__version__": "__about__",
}
"""Names and the modules of torchmetrics that have them."""


def import_torchmetrics() -> None:
    """Import torchmetrics without its metrics, which are imported when they are asked for."""
    import_partly("torchmetrics", _USED, _logger=logging.getLogger("torchmetrics"))
