"""What clues costs, measured beside others: ``python -m benchmarks --help``."""
