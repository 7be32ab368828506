"""Pickles, read without importing what they are made of.

To load a pickle is to import any module that it names and to call anything in it. Who only wants to see what a job's
arguments are must do neither: imports have effects, and whoever can write to a queue can write a pickle.
"""

from __future__ import annotations

import datetime as dt
import pickle
import uuid
from collections import defaultdict
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

# Names of the standard library whose objects are worth being read as they are. Only what makes no much of little, as
# `bytearray(10**10)` does, and hashes nothing that may be nested.
_READ: dict[tuple[str, str], Any] = {
    ("builtins", "complex"): complex,
    ("builtins", "frozenset"): lambda items=(), *_: _set(items),
    ("builtins", "set"): lambda items=(), *_: _set(items),
    ("collections", "Counter"): lambda items=(), *_: _dict(items),
    ("collections", "OrderedDict"): lambda items=(), *_: _dict(items),
    ("collections", "defaultdict"): defaultdict,
    ("datetime", "date"): dt.date,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("decimal", "Decimal"): Decimal,
}
_MOST = 1 << 30  # bytes; more is never there to be read
_SCALARS = (str, int, float, bytes, bool, type(None), uuid.UUID, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal)


def read(data: bytes) -> tuple[Any, bool]:
    """What a pickle holds, with strangers in the place of objects whose classes would have to be imported.

    A stranger has its object's class by name, and its state where that was a dict; it can do nothing.

    Args:
        data: a pickle of protocol 2 or newer.

    Returns:
        The value, and whether there are strangers in it.

    Raises:
        Exception: of any kind, where it can't be read: it is broken, or a known type can't be made of a stranger.
    """
    reader = _Reader(BytesIO(data))
    try:
        return reader.load(), reader.strangers
    except IndexError as error:
        raise pickle.UnpicklingError("it ends too soon, or takes what it never had") from error


# The one that is written in Python: the other makes room for as much as a pickle says that there is.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined, unused-ignore] # noqa: SLF001


class _Reader(_Unpickler):  # type: ignore[misc]
    """Sets nothing on what is no stranger, and takes no keys but plain values."""

    strangers = False

    def find_class(self, module: str, name: str) -> Any:
        if known := _READ.get((module, name)):
            return known
        if (module, name) == ("uuid", "UUID"):  # written in Python: each pickle has a class of its own to spoil
            return type(name, (uuid.UUID,), {"__module__": module, "__slots__": ()})
        if (module, name) == ("zoneinfo", "ZoneInfo"):
            return _Zone
        if (module, name) == ("builtins", "getattr"):
            return self._attribute
        self.strangers = True
        return type(name.rpartition(".")[2], (_Stranger,), {"__module__": module, "__qualname__": name})

    def _build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, _Stranger):
            made.__setstate__(state)
        elif isinstance(made, uuid.UUID) and type(state) is dict:
            made.__setstate__(state)  # type: ignore[attr-defined] # it has one

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][_key(key)] = value

    def _setitems(self) -> None:
        items = self.pop_mark()
        into = self.stack[-1]
        for place in range(0, len(items) - 1, 2):
            into[_key(items[place])] = items[place + 1]

    def _additems(self) -> None:
        items = self.pop_mark()
        for item in items:
            self.stack[-1].add(_key(item))

    def _make_dict(self) -> None:
        items = self.pop_mark()
        self.append({_key(items[place]): items[place + 1] for place in range(0, len(items) - 1, 2)})

    def _make_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(_set(items))

    def _make_bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(self.read(min(size, _MOST)))

    dispatch = _Unpickler.dispatch | {
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _setitem,
        pickle.SETITEMS[0]: _setitems,
        pickle.ADDITEMS[0]: _additems,
        pickle.DICT[0]: _make_dict,
        pickle.FROZENSET[0]: _make_frozenset,
        pickle.BYTEARRAY8[0]: _make_bytearray,
    }

    def _attribute(self, owner: Any, name: str) -> Any:
        if owner is _Zone and name == "_unpickle":
            return lambda key, *_: ZoneInfo(key)
        self.strangers = True
        return _Stranger


def _set(items: Any) -> set[Any]:
    return set(map(_key, items)) if type(items) in {list, tuple} else set()


def _dict(items: Any) -> dict[Any, Any]:
    return dict(items) if type(items) is dict else {}  # its keys were looked at when it was read


class _Stranger:
    """An object of a class that is not imported."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        """Take anything."""

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Take a dict's item."""

    def append(self, *_args: Any) -> None:
        """Take what a list or a set holds."""

    extend = add = append


class _Zone(_Stranger):
    """Stands for `ZoneInfo`, whose pickles say ``getattr(ZoneInfo, "_unpickle")("Europe/Paris", True)``."""


def _key(value: object) -> object:
    """A key, or an element of a set, whose hash takes no time: that of tuples of tuples that are all one takes ages."""
    plain = type(value) in _SCALARS or isinstance(value, uuid.UUID)
    return value if plain or (type(value) is tuple and all(type(part) in _SCALARS for part in value)) else _Stranger()
