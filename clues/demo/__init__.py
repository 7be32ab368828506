"""The demo: a small shop's jobs on a Redis of its own."""
