"""Speed and memory, against peers, in one run.

Each file prints its tables and its numbers beside their targets: `python -m benchmarks.<name>`; all of them, and one table at
the end: `python -m benchmarks`.
"""
