"""What clues costs, measured: ``python -m benchmarks``."""
