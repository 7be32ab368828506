"""Config files of starters, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clues.resque.starter import StarterConfig

EXAMPLES = Path(__file__).parents[2] / "examples" / "starter"

Read = Callable[[str], StarterConfig]
"""What the fixture `read` gives: it reads a text as a config file."""
