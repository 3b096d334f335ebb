"""What numbers mean: induction scores of attention heads, emergence, statistics over seeds."""
