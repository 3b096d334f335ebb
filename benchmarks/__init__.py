"""Measure speed and memory, in part against other libraries.

`python -m benchmarks` runs the benchmarks that have targets and prints one table of their numbers; `--only NAME` runs one.
Separate programs are coverage, objectives, precision, profile, sizes and storage, and `ensemble` for a GPU.
"""
