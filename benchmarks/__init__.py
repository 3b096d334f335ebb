"""Measure speed and memory, in part against other libraries.

`python -m benchmarks` runs the benchmarks that have targets and prints one table of their numbers; `--only NAME` runs one.
The others are separate programs: coverage, objectives, precision, profile, sizes, storage, and `ensemble` on a GPU.
"""
