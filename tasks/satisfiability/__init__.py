"""Satisfiability: the task, its random formulas and their solutions."""

from tasks.satisfiability.satisfiability import Satisfiability

__all__ = ["Satisfiability"]
