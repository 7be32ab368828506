"""Pickles, read without importing what they are made of.

To load a pickle is to import any module that it names and to call anything in it. Who only wants to see what a job's
arguments are must do neither: imports have effects, and whoever can write to a queue can write a pickle.
"""

from __future__ import annotations

import pickle
import uuid
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

# Names of the standard library whose objects are worth being read as they are. Only types and functions that are
# written in C: a pickle can set attributes of what it names, and these have none. And none that makes much of little,
# as `bytearray(10**10)` does.
_READ = frozenset({
    ("builtins", "complex"),
    ("builtins", "frozenset"),
    ("builtins", "set"),
    ("collections", "defaultdict"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
})  # fmt: skip
_READ_AS_DICT = frozenset({("collections", "Counter"), ("collections", "OrderedDict")})


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
    return reader.load(), reader.strangers


class _Reader(pickle.Unpickler):
    strangers = False

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _READ:
            return super().find_class(module, name)
        if (module, name) in _READ_AS_DICT:
            return dict
        if (module, name) == ("uuid", "UUID"):  # written in Python: each pickle has a class of its own to spoil
            return type(name, (uuid.UUID,), {"__module__": module, "__slots__": ()})
        if (module, name) == ("zoneinfo", "ZoneInfo"):
            return _Zone
        if (module, name) == ("builtins", "getattr"):
            return self._attribute
        self.strangers = True
        return type(name.rpartition(".")[2], (_Stranger,), {"__module__": module, "__qualname__": name})

    def _attribute(self, owner: Any, name: str) -> Any:
        if owner is _Zone and name == "_unpickle":
            return lambda key, *_: ZoneInfo(key)
        self.strangers = True
        return _Stranger


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
