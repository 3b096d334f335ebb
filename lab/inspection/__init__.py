"""Instruments that look inside the networks of runs, several at once; `lab.inspect` is their one call."""
