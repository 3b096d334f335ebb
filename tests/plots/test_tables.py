"""How figures describe their means."""

import numpy as np
import pandas as pd

from lab.plots.tables import describe_means


def test_an_interval_is_named_only_where_there_is_one() -> None:
    few = pd.DataFrame({"low": [np.nan, np.nan], "seeds": [3, 3]})
    assert describe_means(few) == "mean over 3 seeds; fewer than 5 seeds say little"
    assert describe_means(few.assign(low=0.1, seeds=5)) == "mean and 90 % bootstrap interval over 5 seeds"
