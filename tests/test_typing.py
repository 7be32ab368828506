"""tests/typing holds usage for the type checker; here, that it has all of it."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

TYPING = Path(__file__).parent / "typing"
ODD = {"__version__"}


@pytest.mark.parametrize("module", ["clues", "clues.publishers", "clues.resque"])
def test_each_public_name_is_used(module: str) -> None:
    """So a change of its type is a failure of `make check`, before a user has it."""
    named = {
        node.id if isinstance(node, ast.Name) else node.attr
        for path in TYPING.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    public = set(importlib.import_module(module).__all__) - ODD
    assert public
    assert public - named == set()
