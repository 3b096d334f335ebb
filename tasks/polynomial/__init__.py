"""Polynomial arithmetic: the task, and random expressions with their values."""

from tasks.polynomial.polynomial import Polynomial

__all__ = ["Polynomial"]
