"""Statistics on frames: intervals, paired tests, survival, emergence times.

Modules import scipy and not scipy.stats, which takes half a second: `scipy.stats.binomtest` loads it when it is called.
"""
