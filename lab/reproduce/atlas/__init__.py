"""The atlas: every task with several numbers of prediction heads, beside a rule that predicts where they help."""
