"""Studies that compare conditions with a baseline, family by family, on the same data and seeds.

A study is one `Comparison`: families of conditions with a metric each, and what was expected of them. Its page, tables and
figure follow from the frame.
"""

from functools import partial

from lab.reproduce import Study
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.comparison.page import join, report
from lab.reproduce.comparison.plan import stages


def comparison_study(comparison: Comparison) -> Study:
    """Return the study that a configuration describes."""
    parts = partial(join, comparison) if len(comparison.families) > 1 else None
    return Study(comparison.scales, partial(stages, comparison), partial(report, comparison), join=parts)
