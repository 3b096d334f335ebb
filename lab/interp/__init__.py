"""Looking inside networks: attention scores, gradients, patching."""
