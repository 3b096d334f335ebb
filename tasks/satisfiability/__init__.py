"""Satisfiability: the task, and random formulas with the sets of assignments that they exclude."""

from tasks.satisfiability.satisfiability import Satisfiability

__all__ = ["Satisfiability"]
