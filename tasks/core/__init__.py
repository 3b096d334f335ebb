"""The contract of a task, and what all tasks share: randomness, splits, batches, lines of text and the registry."""
