"""Studies of self-speculative decoding: what further prediction heads buy at inference, and where their drafts fail."""

from functools import partial

from lab.reproduce import Study
from lab.reproduce.speculation.configuration import Speculation
from lab.reproduce.speculation.page import report
from lab.reproduce.speculation.plan import stages


def speculation_study(study: Speculation) -> Study:
    """Return the study that a configuration describes."""
    return Study(study.scales, partial(stages, study), partial(report, study))
