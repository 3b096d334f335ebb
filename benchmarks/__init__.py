"""Speed and memory, against peers, in one run. Each file prints a table and ratios: `python -m benchmarks.<name>`."""
