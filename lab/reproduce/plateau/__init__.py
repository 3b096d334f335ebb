"""Studies of one question: which conditions escape a plateau, when, and why?

A study names an accuracy that stays on a plateau for long, and conditions that differ in one setting each. Survival curves,
log-rank tests and paired tests compare the escapes. The study also measures when the second prediction head learns the stepping
stone: a token that is easier to predict than the one on which head 1 is stuck, and that the solution needs.
"""

from functools import partial

from lab.reproduce import Study
from lab.reproduce.plateau.configuration import Plateau
from lab.reproduce.plateau.page import report
from lab.reproduce.plateau.plan import stages


def plateau_study(plateau: Plateau) -> Study:
    """Return the study that a configuration describes."""
    return Study(plateau.scales, partial(stages, plateau), partial(report, plateau))
