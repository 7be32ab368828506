"""How much may go wrong."""

SHARE = 0.99
"""The share of jobs that the promises are for."""

BUDGET = round(1 - SHARE, 6)
"""What is left: the error budget."""
