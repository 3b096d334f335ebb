"""Induction by size of the model (Gloeckle et al. 2024, section 4.1 and Fig 7): does a second head help small models to copy?

Stories whose characters have names of two tokens; the metric is the accuracy on the second token of names that the story has
mentioned before and training has never shown, at the best epoch on the test split, as in the paper.

The peak learning rate is the first thing that such a curve can hang on. It is tuned for every size on validation, on seeds
that no other run has: once with n = 1, whose rate both arms then get (what the figure shows first), and once with n = 2, as a
control. Of two equal rates the runs are the same.

    lab reproduce fig7 --scale laptop             about 60 minutes on two cores
    lab reproduce fig7 --scale paper --plan       what the paper's own settings would cost

The stories are the grammar's unless `--task.corpus FILE` names a text; rows of the paper's 2048 tokens, a step of as many
tokens as before, are `--task.length 2048 --batch-size 128` with it.
"""

from lab.reproduce import Study
from lab.reproduce.fig7.page import report
from lab.reproduce.fig7.plan import SCALES, stages

STUDY = Study(SCALES, stages, report)
