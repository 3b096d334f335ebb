"""Speed and memory, against peers.

`python -m benchmarks` runs the benchmarks that have targets and prints one table of their numbers; `--only NAME` runs one.
The others are programs of their own: coverage, objectives, precision, profile, storage, and `ensemble` on a GPU.
"""
