"""Measurements of networks: evaluation points, predictions and measures."""
