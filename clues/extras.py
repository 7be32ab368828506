"""Which release of a library an extra of clues wants, and whether an older one is installed."""

from __future__ import annotations

import re

_DISTRIBUTIONS = {
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "opensearchpy": "opensearch-py",
    "opentelemetry.proto": "opentelemetry-proto",
}
"""How libraries are called on the package index, where that is not what they are imported by."""

_WANTED = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[[^]]*\])?\s*(?P<range>[^;]*?)\s*;.*extra\s*==\s*['\"](?P<extra>[\w-]+)['\"].*"
)
_LOWEST = re.compile(r">=\s*([\d.]+)")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def too_old(extra: str, module: str) -> str:
    """What is wanted, and what there is instead: ``duckdb>=2.0, and 1.5.6 is installed``; empty if that is new enough.

    Empty too where it can't be known, as for what was copied to its place without a word on its version.

    Args:
        extra: the extra of clues that brings it.
        module: its import name.
    """
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow to import

    name = _DISTRIBUTIONS.get(module, module)
    lowest = _LOWEST.search(wanted(extra, name))
    try:
        there = version(name)
    except PackageNotFoundError:
        return ""
    if lowest is None or _numbers(there) >= _numbers(lowest[1]):
        return ""
    return f"{name}>={lowest[1]}, and {there} is installed"


def wanted(extra: str, name: str) -> str:
    """The releases of a library that an extra wants, ``<5.8,>=5.3``; empty if it wants none, or nobody knows.

    Args:
        extra: an extra of clues.
        name: what the library is called on the package index.
    """
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - slow to import

    try:
        lines = requires("clues") or []
    except PackageNotFoundError:
        return ""
    found = (_WANTED.fullmatch(line) for line in lines)
    return next((one["range"] for one in found if one and (one["name"], one["extra"]) == (name, extra)), "")


def _numbers(version: str) -> tuple[int, ...]:
    """A version's first part as numbers, so that 1.10 comes after 1.9; 2.0rc1 counts as 2.0."""
    found = _NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
