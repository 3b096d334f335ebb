"""The atlas: every task with several numbers of prediction heads, beside a rule that predicts where they help.

Each task is trained at its default settings (three with fewer steps) with one prediction head, and with two and four in
networks whose next-token path is as deep as with one (equal depth) or that have as many parameters. The effect of further heads
is measured on one scale for all tasks, the area under the learning curve, and compared with the scores of
`lab.reproduce.atlas.rule`.

    lab reproduce atlas --plan               how many runs of each task, and about how long
    lab reproduce atlas --scale recall       one task, whose runs the whole atlas shares
    lab reproduce atlas                      all tasks: 568 runs, about nine hours on two cores with a C++ compiler
    lab reproduce atlas --join DIR ...       the page of the tasks whose reports are in these folders
"""

from lab.reproduce import Study
from lab.reproduce.atlas.page import join, report
from lab.reproduce.atlas.plan import SCALES, stages

STUDY = Study(SCALES, stages, report, join=join)
