"""Fig 8: does multi-token prediction help a model to compute, and does it generalise to longer expressions?

Polynomial expressions of m operations, m = 1 to 5 in training, evaluated at each m of 1 to 10 by greedy decoding. Three parts:

- `heads` (Fig 8): n = 1, 2 and 4 at equal parameters, as in the paper, and at equal depth.
- `pause` (Fig S15): 5 and 10 pause tokens between the expression and its answer.
- `sizes` (Fig S16): three times the parameters, against further prediction heads.

Equal parameters are the headline, since they are what the paper compares; the parts `pause` and `sizes` have these alone.
There the next-token path of n heads is n - 1 layers shorter: of 6 layers that is much, so that the part `heads` has n = 2 and 4
at equal depth as well, where a difference to n = 1 is one of heads and not of depth.

The ring at `laptop` scale is F_3[X]/(X^2), with 9 elements. In F_7[X]/(X^5), the paper's, models of this size do not leave
chance in a run that a night allows, and in F_5[X]/(X^2) hardly beyond three operations: out of domain nothing would be left to
compare.

    lab reproduce fig8 --plan                      all parts: 148 runs, about 5 hours on two cores
    lab reproduce fig8 --scale heads               one part, whose runs the whole study shares
    lab reproduce fig8 --scale paper --plan        the cost of the paper's own settings
"""

from lab.reproduce import Study
from lab.reproduce.fig8.page import report
from lab.reproduce.fig8.plan import SCALES, stages

STUDY = Study(SCALES, stages, report)
