"""Induction by size of the model (Gloeckle et al. 2024, section 4.1 and Fig 7): does a second head help small models to copy?

Stories whose characters have names of two tokens; the metric is the accuracy on the second token of names that the story has
mentioned before and training has never shown, at the best epoch on the test split, as in the paper.

Such a curve can depend on the peak learning rate. It is tuned for every size on validation, on seeds that no other run has:
once with n = 1, whose rate both conditions then get (the figure's first panel), and once with n = 2, as a control. Where both
choose the same rate, they share their runs. A third comparison gives each n the rate that it chose.

    lab reproduce fig7 --scale laptop             about 60 minutes on two cores
    lab reproduce fig7 --scale bracketed          the same with larger rates and other seeds; at most 100 minutes
    lab reproduce fig7 --scale paper --plan       what the paper's own settings would cost

A grammar generates the stories unless `--task.corpus FILE` names a text; with it, `--task.length 2048 --batch-size 128` gives
the paper's sequences of 2048 tokens and the same tokens per step.
"""

from lab.reproduce import Study
from lab.reproduce.fig7.page import report
from lab.reproduce.fig7.plan import SCALES, stages

STUDY = Study(SCALES, stages, report)
