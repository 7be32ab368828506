"""Pickles, read without importing what they are made of."""

from __future__ import annotations

import contextlib
import pickle
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clues.pickles import read
from clues.plain import plain

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


@dataclass
class Order:
    id: int


class Basket(list[Any]):
    """Has items, and a state."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [None, True, 1, 2**70, 1.5, "text", [1, [2]], (1, (2,)), {"a": {"b": 1}}],
)
def test_plain_values(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == (value, False)


@pytest.mark.parametrize("protocol", PROTOCOLS[2:])
@pytest.mark.parametrize(
    "value",
    [
        b"bytes", {1, 2}, frozenset({1}), 1j, date(2026, 11, 20), datetime(2026, 11, 20, tzinfo=UTC), timedelta(1),
        Decimal("1.10"), datetime(2026, 11, 20, tzinfo=ZoneInfo("UTC")), uuid.UUID(int=7), OrderedDict(a=1),
        Counter("aab"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_of_the_standard_library(value: Any, protocol: int) -> None:
    found, strangers = read(pickle.dumps(value, protocol))
    assert found == value
    assert plain(found) == plain(value)
    assert not strangers


def test_a_default_makes_nothing() -> None:
    found, strangers = read(pickle.dumps(defaultdict(list, a=[1])))
    assert found == {"a": [1]}
    assert strangers


@pytest.mark.parametrize("value", [deque([1]), Order, int, print])
def test_strangers_look_like_what_they_stand_for(value: Any) -> None:
    found, strangers = read(pickle.dumps(value))
    assert strangers
    assert plain([found]) == plain([value])


@pytest.mark.parametrize("value", [Order(4711), Basket([1]), Fraction(1, 3), [Order(1)]])
def test_strangers(value: Any) -> None:
    assert read(pickle.dumps(value))[1]


def test_a_stranger_has_its_state() -> None:
    found, _ = read(pickle.dumps(Order(4711)))
    assert type(found) is not Order
    assert found.id == 4711


def calls(module: str, name: str, *args: Any) -> bytes:
    """A pickle that calls something."""
    return (
        b"\x80\x04" + pickle.dumps(module, 4)[2:-1] + pickle.dumps(name, 4)[2:-1] + b"\x93"
        + pickle.dumps(args, 4)[2:-1] + b"R."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "system"), ("uuid", "os.system"), ("collections", "_sys.exit"),
        ("builtins", "exec"), ("builtins", "eval"), ("builtins", "str.format"), ("datetime", "sys.exit"),
        ("datetime", "datetime.__class__"), ("builtins", "set.__subclasses__"), ("copyreg", "_reconstructor"),
        ("zoneinfo", "ZoneInfo.__new__"), ("_codecs", "lookup"), ("operator", "attrgetter"),
        ("builtins", "getattr.__class__"),
    ],
)  # fmt: skip
def test_nothing_is_called(module: str, name: str, tmp_path: Path) -> None:
    """The dotted names are those by which pickles reach what a harmless module has imported itself."""
    found, strangers = read(calls(module, name, f"touch {tmp_path}/called"))
    assert strangers
    assert type(type(found)) is type
    assert type(found).__mro__[1].__name__ == "_Stranger"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_imported() -> None:
    sys.modules.pop("antigravity", None)
    read(calls("antigravity", "geohash"))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(("module", "name"), [("uuid", "UUID"), ("collections", "Counter"), ("datetime", "date")])
def test_no_class_is_changed(module: str, name: str) -> None:
    """A pickle may set attributes of what it names."""
    named = b"\x80\x04" + pickle.dumps(module, 4)[2:-1] + pickle.dumps(name, 4)[2:-1] + b"\x93"
    spoilt = named + pickle.dumps((None, {"__str__": 1, "spoilt": 1}), 4)[2:-1] + b"b."
    with contextlib.suppress(TypeError, AttributeError):
        read(spoilt)
    assert not hasattr(getattr(sys.modules[module], name), "spoilt")


@pytest.mark.parametrize(("name", "size"), [("bytearray", 10**12), ("bytes", 10**12), ("range", 10**12)])
def test_little_stays_little(name: str, size: int) -> None:
    found, strangers = read(calls("builtins", name, size))
    assert strangers
    assert len(plain([found])[0]) < 100


@pytest.mark.parametrize("broken", [b"", b"\x80", b"\x80\x04", b"\x80\x04.", pickle.dumps([1])[:-1], b"\x80\x05Pid\n."])
def test_what_can_not_be_read(broken: bytes) -> None:
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        read(broken)
