"""The objectives of the field on one bench: which ingredient of multi-token prediction does the work?

Every condition learns the same data from the same seeds with a next-token path of equal depth; the peak learning rate is tuned
for each on each task, by the same budget and on seeds of its own. Conditions differ in one ingredient or in a few, which the
figure lists beside the results.

    lab reproduce objectives --scale agreement    one task, 210 runs
    lab reproduce objectives                      agreement, star and stories: a night or two on two cores, with a C++ compiler
    lab reproduce objectives --join DIR ...       the page of the tasks whose reports are in these folders
"""

from lab.reproduce import Study
from lab.reproduce.objectives.conditions import SCALES
from lab.reproduce.objectives.page import join, report
from lab.reproduce.objectives.plan import stages

STUDY = Study(SCALES, stages, report, join=join)
