"""Escalation designs: each turns the cohorts so far into the level of the next, with its reason."""
