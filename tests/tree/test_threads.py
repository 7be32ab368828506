"""Being written, with docs/signals.md and examples/heroku."""
