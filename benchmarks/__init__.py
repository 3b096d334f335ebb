"""Speed and memory, against peers.

`python -m benchmarks` runs the benchmarks that have targets and prints one table of their numbers at the end; `--only NAME` runs
one. The others are programs of their own: coverage, objectives, population (for a GPU), precision, profile, storage.
"""
