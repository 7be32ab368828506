"""What a test needs and a machine may lack: skipped with its reason in view, unless it was required."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(name: str, reason: str) -> NoReturn:
    """Skip the test for want of something; fail it if ``CLUES_REQUIRE`` names that."""
    required = {part.strip() for part in os.environ.get("CLUES_REQUIRE", "").split(",")}
    if name in required:
        pytest.fail(f"{name} is required by CLUES_REQUIRE, and is lacking: {reason}")
    pytest.skip(f"{name}: {reason}")
