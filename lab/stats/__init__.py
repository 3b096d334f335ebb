"""Statistics on frames: intervals, paired tests, survival, emergence times."""
