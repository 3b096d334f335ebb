"""The contract of a task and the machinery that all tasks share: randomness, splits, batches, text and the registry."""
