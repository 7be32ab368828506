"""What a docstring says of each argument, or attribute."""

from __future__ import annotations

import inspect
import re

from docs.reference_source.markdown import prose

_ENTRY = re.compile(r"    (?P<name>\w+): (?P<text>.*)")


def described(thing: object, section: str) -> dict[str, str]:
    """The entries of a section, such as ``Args`` or ``Attributes``, in order.

    Raises:
        ValueError: the docstring has no such section.
    """
    lines = (inspect.getdoc(thing) or "").splitlines()
    try:
        start = lines.index(f"{section}:") + 1
    except ValueError:
        msg = f"{thing} has no section {section} in its docstring"
        raise ValueError(msg) from None
    found: dict[str, str] = {}
    name = ""
    for line in lines[start:]:
        if not line.startswith(" ") and line:
            break
        if entry := _ENTRY.fullmatch(line):
            name = entry["name"]
            found[name] = entry["text"]
        elif name:
            found[name] += f" {line.strip()}"
    return {name: prose(text).rstrip(".") for name, text in found.items()}


def summary(thing: object) -> str:
    """A docstring's first sentence."""
    return prose((inspect.getdoc(thing) or "").partition("\n\n")[0])
